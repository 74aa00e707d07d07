import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { JobsPanel } from '../jobs_panel';
import { FakeServer, makeJob } from './fixtures';

describe('JobsPanel', () => {
  const server = new FakeServer();
  const model = server.model();
  const panel = new JobsPanel(
    model,
    {
      cancel: jest.fn(),
      retry: jest.fn(),
      showLog: jest.fn(),
      compare: jest.fn(),
      showResult: jest.fn(),
      openMenu: jest.fn()
    },
    nullTranslator.load('dlp_lab')
  );

  beforeAll(() => Widget.attach(panel, document.body));
  afterAll(() => {
    panel.dispose();
    model.dispose();
  });

  /** List the jobs and wait for what the panel makes of them. */
  const list = async () => {
    await model.refresh().catch(() => undefined);
    await new Promise(resolve => setTimeout(resolve, 50));
  };

  const uids = () =>
    [...panel.node.querySelectorAll('.dlp-Job')].map(row =>
      row.getAttribute('data-uid')
    );
  const settle = () => new Promise(resolve => setTimeout(resolve, 80));
  const type = async (text: string) => {
    const input = panel.node.querySelector('input')!;
    const set = Object.getOwnPropertyDescriptor(
      HTMLInputElement.prototype,
      'value'
    )!.set!;
    set.call(input, text);
    input.dispatchEvent(new Event('input', { bubbles: true }));
    await settle();
  };
  const choose = async (states: string) => {
    const select = panel.node.querySelector('select')!;
    select.value = states;
    select.dispatchEvent(new Event('change', { bubbles: true }));
    await settle();
  };
  const showMore = async () => {
    const note = panel.node.querySelector<HTMLElement>(
      '.dlp-Panel-note button'
    );
    note!.click();
    await settle();
  };

  it('tells how to start when there is no job', async () => {
    await list();
    expect(panel.node.textContent).toContain('No jobs yet');
    expect(panel.node.textContent).toContain('Right-click a folder');
  });

  it('shows the jobs in the order of the server, by the title of their task', async () => {
    server.jobs = ['new', 'old'].map(uid => makeJob({ uid, input_dir: uid }));
    await list();
    const rows = [...panel.node.querySelectorAll('.dlp-Job')];
    expect(rows.map(row => row.getAttribute('data-uid'))).toEqual([
      'new',
      'old'
    ]);
    expect(rows[0].textContent).toContain('3-D Gaussian blur');
    expect(panel.node.textContent).not.toContain('No jobs yet');
  });

  it('shows the jobs of a group below one line with their counts, once it is opened', async () => {
    server.jobs = [
      makeJob({ uid: 'alone' }),
      makeJob({ uid: 'one', group: 'heads/blurred', state: 'failed' }),
      makeJob({ uid: 'two', group: 'heads/blurred', state: 'succeeded' }),
      makeJob({ uid: 'three', group: 'heads/blurred', state: 'queued' })
    ];
    await list();
    expect(uids()).toEqual(['alone']);
    const header = panel.node.querySelector<HTMLElement>('.dlp-Group-header')!;
    expect(header.textContent).toContain('heads/blurred');
    expect(header.textContent).toContain('2 of 3 jobs ended');
    expect(header.textContent).toContain('1 failed');
    expect(header.getAttribute('aria-expanded')).toBe('false');
    header.click();
    await settle();
    expect(uids()).toEqual(['alone', 'one', 'two', 'three']);
    header.click();
    await settle();
    expect(uids()).toEqual(['alone']);
  });

  it('tells of all jobs of a group, also of those that are not listed', async () => {
    server.jobs = Array.from({ length: 250 }, (_, n) =>
      makeJob({
        uid: `job${n}`,
        group: 'cohort',
        state: n < 20 ? 'queued' : n === 240 ? 'failed' : 'succeeded'
      })
    );
    await list();
    const header = panel.node.querySelector<HTMLElement>('.dlp-Group-header')!;
    expect(header.textContent).toContain('230 of 250 jobs ended');
    expect(header.textContent).toContain('20 queued · 1 failed');
    header.click();
    await settle();
    expect(uids()).toHaveLength(200);
    expect(panel.node.textContent).toContain('200 of its 250 jobs are listed.');

    const before = server.seen.length;
    server.gate = new Promise(resolve => setTimeout(resolve, 150));
    server.emit({ uid: 'job19', state: 'running', progress: 0 });
    await settle();
    expect(header.textContent).toContain('1 running · 19 queued · 1 failed');
    await new Promise(resolve => setTimeout(resolve, 150));
    server.gate = null;
    expect(server.seen.slice(before).map(({ route }) => route)).toEqual([
      'jobs'
    ]);

    await choose('failed');
    expect(header.textContent).toContain('250 jobs');
    expect(uids()).toEqual(['job240']);
    await choose('');
    header.click();
  });

  it('finds jobs by the words of their folder and task', async () => {
    server.jobs = ['study/Left', 'study/right'].map(uid =>
      makeJob({ uid, input_dir: uid })
    );
    await list();
    await type('left gauss');
    expect(uids()).toEqual(['study/Left']);
    await type('nowhere');
    expect(panel.node.textContent).toContain('No such job.');
    await type('');
    expect(uids()).toHaveLength(2);
  });

  it('asks the server for the jobs of a state, and says when there are none', async () => {
    server.jobs = [
      makeJob({ uid: 'good', state: 'succeeded' }),
      makeJob({ uid: 'bad', state: 'failed' })
    ];
    await choose('failed');
    expect(uids()).toEqual(['bad']);
    await choose('queued,running');
    expect(uids()).toEqual([]);
    expect(panel.node.textContent).toContain('No such job.');
    expect(panel.node.textContent).not.toContain('No jobs yet');
    await choose('');
    expect(uids()).toEqual(['good', 'bad']);
  });

  it('lists older jobs when asked, and keeps them when it lists the newest again', async () => {
    server.jobs = Array.from({ length: 450 }, (_, n) =>
      makeJob({ uid: `job${n}`, state: 'succeeded' })
    );
    await list();
    expect(panel.node.textContent).toContain('250 older jobs.');
    await showMore();
    expect(uids()).toHaveLength(400);
    server.jobs = [makeJob({ uid: 'newest' }), ...server.jobs];
    await list();
    expect(uids()).toHaveLength(401);
    expect(uids()[0]).toBe('newest');
    await showMore();
    expect(new Set(uids()).size).toBe(451);
    expect(panel.node.textContent).not.toContain('older');
    server.jobs = server.jobs.slice(0, 2);
    await list();
    expect(uids()).toHaveLength(2);
  });

  it('says that the server is lost and keeps the jobs in sight', async () => {
    server.isDown = true;
    await list();
    expect(panel.node.querySelector('[role=alert]')?.textContent).toContain(
      'does not answer'
    );
    expect(panel.node.querySelectorAll('.dlp-Job')).toHaveLength(2);
  });
});
