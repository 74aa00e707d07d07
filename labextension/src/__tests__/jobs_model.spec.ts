import { JobsModel } from '../jobs_model';
import { FakeServer, makeJob } from './fixtures';

const A = 'a'.repeat(32);
const B = 'b'.repeat(32);

/** Let all that is ready run. */
const settle = () => new Promise(resolve => setTimeout(resolve, 20));

describe('JobsModel', () => {
  let server: FakeServer;
  let model: JobsModel;

  beforeEach(async () => {
    server = new FakeServer();
    server.jobs = [makeJob({ uid: A, state: 'running', message: 'reading' })];
    model = server.model();
    await settle();
  });

  afterEach(() => {
    jest.useRealTimers();
    model.dispose();
  });

  it('lists jobs and tasks by itself when it starts', () => {
    expect(model.isLoaded).toBe(true);
    expect(model.jobs.map(job => job.uid)).toEqual([A]);
    expect(model.task('3dblur')?.title).toBe('3-D Gaussian blur');
    expect(model.task('gone')).toBeUndefined();
    expect(model.health?.logs_dir).toBe('logs');
  });

  it('asks for a task anew, and goes on with what it knew where nobody answers', async () => {
    const [known] = server.tasks;
    server.tasks = [{ ...known, description: 'changed' }];
    expect((await model.askTask('3dblur'))?.description).toBe('changed');
    expect(model.task('3dblur')?.description).toBe('changed');
    server.isDown = true;
    expect((await model.askTask('3dblur'))?.description).toBe('changed');
    server.isDown = false;
    server.tasks = [];
    expect(await model.askTask('3dblur')).toBeUndefined();
  });

  it('takes the progress of a known job from the event, without a request', async () => {
    const changed = jest.fn();
    model.stateChanged.connect(changed);
    server.emit({ uid: A, state: 'running', progress: 0.5 });
    expect(model.jobs[0].progress).toBe(0.5);
    expect(model.jobs[0].message).toBe('reading');
    expect(changed).toHaveBeenCalledTimes(1);
    await settle();
    expect(server.listings).toBe(1);
  });

  it('lists again when a job ends, for the result and the message', async () => {
    server.jobs = [makeJob({ uid: A, state: 'succeeded', output_dir: 'out' })];
    server.emit({ uid: A, state: 'succeeded', progress: 1 });
    expect(model.jobs[0].state).toBe('succeeded');
    await settle();
    expect(model.jobs[0].output_dir).toBe('out');
    expect(server.listings).toBe(2);
  });

  it('lists again for a job that another client submitted', async () => {
    server.jobs = [makeJob({ uid: B }), ...server.jobs];
    server.emit({ uid: B, state: 'queued', progress: 0 });
    await settle();
    expect(model.jobs.map(job => job.uid)).toEqual([B, A]);
  });

  it('ignores the events of others', async () => {
    server.emit(
      { uid: A, state: 'failed', progress: 1 },
      'https://example.org/other'
    );
    await settle();
    expect(model.jobs[0].state).toBe('running');
    expect(server.listings).toBe(1);
  });

  it('sends at most two listings for a hundred events', async () => {
    let open = () => undefined as void;
    server.gate = new Promise(resolve => {
      open = resolve;
    });
    for (let index = 0; index < 100; index++) {
      server.emit({ uid: `unknown${index}`, state: 'queued', progress: 0 });
    }
    open();
    await settle();
    expect(server.listings).toBe(3); // the first one was at the start
  });

  it('asks nothing of the progress of a job that is not listed, and seldom of its state', async () => {
    jest.useFakeTimers();
    for (let index = 0; index < 100; index++) {
      const uid = `unlisted${index}`;
      server.emit({ uid, state: 'running', progress: 0 });
      server.emit({ uid, state: 'running', progress: 0.5 });
      server.emit({ uid, state: 'succeeded', progress: 1 });
      await jest.advanceTimersByTimeAsync(20);
    }
    await jest.advanceTimersByTimeAsync(1000);
    expect(server.listings).toBeGreaterThanOrEqual(3);
    expect(server.listings).toBeLessThanOrEqual(7);
    const { listings } = server;
    server.emit({ uid: 'unlisted', state: 'running', progress: 0 });
    await jest.advanceTimersByTimeAsync(1000);
    for (let index = 0; index < 50; index++) {
      server.emit({
        uid: 'unlisted',
        state: 'running',
        progress: index / 50
      });
    }
    await jest.advanceTimersByTimeAsync(1000);
    expect(server.listings).toBe(listings + 1);
  });

  it('lists the step at work at most every two seconds while progress comes in', async () => {
    jest.useFakeTimers();
    for (let index = 0; index < 50; index++) {
      server.emit({ uid: A, state: 'running', progress: index / 50 });
      await jest.advanceTimersByTimeAsync(100);
    }
    expect(server.listings).toBeGreaterThanOrEqual(2);
    expect(server.listings).toBeLessThanOrEqual(4);
  });

  it('lists again, at most twice a second, when events do not tell which job has changed', async () => {
    jest.useFakeTimers();
    server.jobs = [makeJob({ uid: A, state: 'succeeded' })];
    for (let index = 0; index < 20; index++) {
      server.emit({ uid: null, state: null, progress: null });
      await jest.advanceTimersByTimeAsync(100);
    }
    expect(model.jobs[0].state).toBe('succeeded');
    expect(server.listings).toBeGreaterThanOrEqual(4);
    expect(server.listings).toBeLessThanOrEqual(6);
  });

  it('asks a server without dlp-lab a few times, more and more rarely, then says what to do and asks no more', async () => {
    jest.useFakeTimers();
    server.isForeign = true;
    const before = server.seen.length;
    void model.refresh().catch(() => undefined);
    await jest.advanceTimersByTimeAsync(10 * 60 * 1000);
    expect(server.seen.length - before).toBe(4);
    expect(model.error).toMatch(/jupyter server extension enable dlp_lab/);

    server.isForeign = false;
    await model.refresh();
    expect(model.error).toBeNull();
  });

  it('asks a lost server again and again, at last every half a minute', async () => {
    jest.useFakeTimers();
    server.isDown = true;
    const before = server.seen.length;
    void model.refresh().catch(() => undefined);
    await jest.advanceTimersByTimeAsync(10 * 60 * 1000);
    expect(server.seen.length - before).toBeGreaterThan(15);
    expect(server.seen.length - before).toBeLessThan(30);
  });

  it('shows a submitted job at once, at the top', async () => {
    server.postReply = { status: 201, body: makeJob({ uid: B }) };
    await model.submit({ task: '3dblur', input_dir: 'x' });
    expect(model.jobs.map(job => job.uid)).toEqual([B, A]);
  });

  it('hands on the sentence when a job cannot be cancelled, and looks what became of it', async () => {
    server.jobs = [makeJob({ uid: A, state: 'succeeded' })];
    server.postReply = {
      status: 409,
      body: { code: 'JOB_ALREADY_ENDED', message: 'The job has ended.' }
    };
    await expect(model.cancel(A)).rejects.toThrow('The job has ended.');
    await settle();
    expect(model.jobs[0].state).toBe('succeeded');
  });

  it('shows at once that a job is to be tried again', async () => {
    server.jobs = [makeJob({ uid: A, state: 'failed' })];
    server.postReply = { status: 200, body: makeJob({ uid: A }) };
    await model.retry(A);
    expect(server.seen.some(({ route }) => route === `jobs/${A}/retry`)).toBe(
      true
    );
    expect(model.jobs[0].state).toBe('queued');
  });

  it('says that the server is lost, keeps the jobs, and lists them when it is back', async () => {
    jest.useFakeTimers();
    server.isDown = true;
    server.connectionFailure.emit(new Error('lost'));
    await jest.advanceTimersByTimeAsync(20);
    expect(model.error).toBe('The server does not answer: Failed to fetch.');
    expect(model.jobs).toHaveLength(1);
    server.isDown = false;
    server.jobs = [];
    await jest.advanceTimersByTimeAsync(10000);
    expect(model.error).toBeNull();
    expect(model.jobs).toHaveLength(0);
  });

  it('goes on when an answer never comes, as after a connection that is gone without a word', async () => {
    jest.useFakeTimers();
    server.gate = new Promise(() => undefined);
    server.emit({ uid: B, state: 'queued', progress: 0 });
    await jest.advanceTimersByTimeAsync(31000);
    expect(model.error).toContain('The server does not answer');
    server.gate = null;
    server.jobs = [];
    await jest.advanceTimersByTimeAsync(10000);
    expect(model.error).toBeNull();
    expect(model.jobs).toHaveLength(0);
  });

  it('counts the open jobs also where they are not listed', async () => {
    server.jobs = [
      makeJob({ uid: A, state: 'running' }),
      makeJob({ uid: B, state: 'queued' }),
      makeJob({ uid: 'c', state: 'queued' }),
      makeJob({ uid: 'd', state: 'failed' })
    ];
    await model.refresh();
    expect(model.open).toEqual({ running: 1, queued: 2 });
    model.wanted = { states: ['failed'], about: '' };
    await settle();
    expect(model.jobs.map(job => job.uid)).toEqual(['d']);
    expect(server.seen.filter(({ route }) => route === 'jobs')).toHaveLength(3);
    expect(model.open).toEqual({ running: 1, queued: 2 });
  });

  it('keeps what was listed until the server has answered for other words', async () => {
    server.jobs = [
      makeJob({ uid: A, input_dir: 'left' }),
      makeJob({ uid: B, input_dir: 'right' })
    ];
    await model.refresh();
    model.wanted = { states: [], about: 'right' };
    expect(model.jobs.map(job => job.uid)).toEqual([A, B]);
    await settle();
    expect(model.jobs.map(job => job.uid)).toEqual([B]);
  });

  it('tells once of each job that was open when it has ended, listed or not', async () => {
    const ends: unknown[] = [];
    model.jobEnded.connect((_, end) => ends.push(end));
    server.emit({ uid: B, state: 'running', progress: 0 });
    server.emit({ uid: B, state: 'failed', progress: 0 });
    server.emit({ uid: B, state: 'failed', progress: 0 });
    server.emit({ uid: 'never seen open', state: 'succeeded', progress: 1 });
    server.jobs = [makeJob({ uid: A, state: 'succeeded' })];
    await model.refresh();
    await model.refresh();
    expect(ends).toEqual([
      { uid: B, state: 'failed' },
      { uid: A, state: 'succeeded' }
    ]);
  });

  it('forgets a job and says what is to become of its result', async () => {
    await model.remove(A, true);
    expect(model.jobs).toEqual([]);
    expect(server.seen[server.seen.length - 1]).toMatchObject({
      method: 'DELETE',
      route: `jobs/${A}`
    });
    expect(server.queries[server.queries.length - 1]).toBe('result=delete');
  });

  it('listens to nothing after it is disposed', async () => {
    model.dispose();
    const listings = server.listings;
    server.emit({ uid: A, state: 'running', progress: 0.9 });
    server.emit({ uid: B, state: 'queued', progress: 0 });
    server.connectionFailure.emit(new Error('lost'));
    await settle();
    expect(model.jobs[0].progress).toBe(0);
    expect(server.listings).toBe(listings);
  });
});
