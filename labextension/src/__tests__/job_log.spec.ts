import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { JobLog } from '../job_log';
import { FakeServer, makeJob } from './fixtures';

const settle = (ms = 50) => new Promise(resolve => setTimeout(resolve, ms));

describe('JobLog', () => {
  const server = new FakeServer();
  const model = server.model();
  let log: JobLog;

  const open = async () => {
    log = new JobLog(
      model,
      server.jobs[0],
      'Log',
      nullTranslator.load('dlp_lab')
    );
    Widget.attach(log, document.body);
    await settle();
  };

  afterEach(() => log.dispose());
  afterAll(() => model.dispose());

  it('shows what was printed as text, without the colours of a terminal', async () => {
    server.jobs = [makeJob({ state: 'running' })];
    server.printed = '\u001b[31m<img src=x>\u001b[0m\n';
    await open();
    expect(log.node.textContent).toBe('<img src=x>\n');
    expect(log.node.querySelector('img')).toBeNull();
  });

  it('goes on until the job has ended', async () => {
    server.jobs = [makeJob({ state: 'running' })];
    server.printed = 'first\n';
    await open();
    server.printed += 'second\n';
    server.jobs = [makeJob({ state: 'failed', ended_at: '2026-01-01' })];
    await settle(1200);
    expect(log.node.textContent).toBe('first\nsecond\n');
    const asked = server.seen.length;
    await settle(1200);
    expect(server.seen.length).toBe(asked);
  });

  it('says that nothing was printed', async () => {
    server.jobs = [makeJob({ state: 'succeeded', ended_at: '2026-01-01' })];
    server.printed = '';
    await open();
    expect(log.node.textContent).toBe('The job printed nothing.');
  });
});
