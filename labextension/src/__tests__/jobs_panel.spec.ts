import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { JobsPanel } from '../jobs_panel';
import { FakeServer, makeJob } from './fixtures';

describe('JobsPanel', () => {
  const server = new FakeServer();
  const model = server.model();
  const panel = new JobsPanel(
    model,
    { cancel: jest.fn(), retry: jest.fn(), showResult: jest.fn() },
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

  it('says how many older jobs are not listed', async () => {
    server.older = 3;
    await list();
    expect(panel.node.textContent).toContain('3 older jobs are not listed.');
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
