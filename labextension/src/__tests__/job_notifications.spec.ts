import { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { JobNotifications } from '../job_notifications';
import { JobsModel } from '../jobs_model';
import { FakeServer, makeJob } from './fixtures';

const settle = (ms = 20) => new Promise(resolve => setTimeout(resolve, ms));

describe('JobNotifications', () => {
  let server: FakeServer;
  let model: JobsModel;
  let notifications: JobNotifications;

  beforeEach(async () => {
    Notification.manager.dismiss();
    server = new FakeServer();
    server.jobs = ['a', 'b', 'c'].map(uid =>
      makeJob({ uid, state: 'running', input_dir: uid })
    );
    model = server.model();
    await settle();
    notifications = new JobNotifications(
      model,
      () => undefined,
      nullTranslator.load('dlp_lab')
    );
  });

  afterEach(() => {
    notifications.dispose();
    model.dispose();
  });

  const end = (
    states: Record<string, 'succeeded' | 'failed' | 'cancelled'>
  ) => {
    server.jobs = server.jobs.map(job => ({
      ...job,
      state: states[job.uid] ?? job.state,
      message: 'Slice 4 is missing.'
    }));
    for (const [uid, state] of Object.entries(states)) {
      server.emit({ uid, state, progress: 1 });
    }
  };
  const told = async () => {
    await settle(1700);
    return Notification.manager.notifications.map(
      ({ type, message }) => `${type}: ${message}`
    );
  };

  it('tells of one job by name, with the reason when it failed', async () => {
    end({ a: 'failed' });
    expect(await told()).toEqual([
      'error: 3-D Gaussian blur of “a” failed: Slice 4 is missing.'
    ]);
  });

  it('tells of many by their number, and of none that was cancelled', async () => {
    end({ a: 'succeeded', b: 'failed', c: 'cancelled' });
    expect(await told()).toEqual(['error: 2 jobs have ended. 1 failed.']);
  });

  it('tells of a group once, when none of it is at work', async () => {
    server.jobs = server.jobs.map(job => ({ ...job, group: 'heads' }));
    await model.refresh();
    end({ a: 'succeeded', b: 'failed' });
    expect(await told()).toEqual([]);
    end({ c: 'cancelled' });
    expect(await told()).toEqual(['error: 2 jobs have ended. 1 failed.']);
  });

  it('tells of a group once also where its jobs at work are too old to be listed', async () => {
    const heads = (state: 'running' | 'succeeded') =>
      Array.from({ length: 200 }, (_, n) =>
        makeJob({ uid: `waits${n}`, group: 'heads', state: 'succeeded' })
      ).concat(['a', 'b'].map(uid => makeJob({ uid, group: 'heads', state })));
    server.jobs = heads('running');
    await model.refresh();
    server.emit({ uid: 'a', state: 'running', progress: 0 });
    server.emit({ uid: 'a', state: 'succeeded', progress: 1 });
    expect(await told()).toEqual([]);
    server.jobs = heads('succeeded');
    server.emit({ uid: 'b', state: 'succeeded', progress: 1 });
    await settle(600);
    expect(await told()).toEqual(['success: 2 jobs have ended.']);
  });

  it('tells of those that the user wants to hear of', async () => {
    notifications.notifyOf = 'failed';
    end({ a: 'succeeded' });
    expect(await told()).toEqual([]);
    notifications.notifyOf = 'none';
    end({ b: 'failed' });
    expect(await told()).toEqual([]);
  });
});
