import { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification } from '@jupyterlab/apputils';
import { Contents } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { Api } from '../api';
import { ChosenFolder } from '../chosen_folder';
import { addCommands, CommandIDs } from '../commands';
import { JobsPanel } from '../jobs_panel';
import { RememberedRequests } from '../remembered_requests';
import { SeriesChoices } from '../series_choices';
import { FakeServer } from './fixtures';

/** Let all that is ready run. */
const settle = () => new Promise(resolve => setTimeout(resolve, 50));

/** Run the reference task on a folder of the file browser, with dlp-lab's root at `rootOffset`. */
async function runOn(
  path: string,
  rootOffset: string | null,
  meanwhile: (server: FakeServer) => void = () => undefined
): Promise<void> {
  const server = new FakeServer();
  server.rootOffset = rootOffset;
  const model = server.model();
  await settle();
  const app = {
    commands: new CommandRegistry(),
    shell: { activateById: jest.fn() },
    serviceManager: {}
  };
  const trans = nullTranslator.load('dlp_lab');
  addCommands(
    app as unknown as JupyterFrontEnd,
    model,
    { id: 'panel' } as JobsPanel,
    new ChosenFolder({} as Contents.IManager, null, model, trans),
    new RememberedRequests(null),
    new SeriesChoices(new Api(server.settings), {} as Contents.IManager),
    trans
  );
  meanwhile(server);
  app.commands
    .execute(CommandIDs.runTask, { task: '3dblur', path })
    .catch(() => undefined); // a dialog that is flushed rejects
  const isAnswered = () =>
    document.querySelector('.dlp-RunForm-path') !== null ||
    Notification.manager.count > 0;
  for (let tries = 0; tries < 100 && !isAnswered(); tries++) {
    await settle();
  }
  model.dispose();
}

describe('dlp-lab:run-task', () => {
  const said = () =>
    Notification.manager.notifications.map(({ message }) => message);

  afterEach(() => {
    Dialog.flush();
    Notification.manager.dismiss();
  });

  it('names the folder as the jobs do, relative to dlp-lab’s root', async () => {
    await runOn('data/s1', 'data');
    expect(document.querySelector('.dlp-RunForm-path')?.textContent).toBe('s1');
  });

  it('offers what the server offers now, such as a model that was added since', async () => {
    const models = { title: 'Model', type: 'string', enum: ['brain', 'liver'] };
    await runOn('data/s1', 'data', server => {
      const [task] = server.tasks;
      const params_schema = { type: 'object', properties: { model: models } };
      server.tasks = [{ ...task, params_schema }];
    });
    const offered = [...document.querySelectorAll('.dlp-RunForm option')].map(
      option => option.textContent
    );
    expect(offered).toEqual(expect.arrayContaining(['brain', 'liver']));
  });

  it('says that a folder is outside the root', async () => {
    await runOn('elsewhere', 'data');
    expect(said()).toEqual([
      '“elsewhere” is outside “data”, the folder that DLP Lab works in.'
    ]);
  });

  it('says that the file browser does not show the root', async () => {
    await runOn('s1', null);
    expect(said()[0]).toContain('the file browser does not show');
    const [{ options }] = Notification.manager.notifications;
    expect(options.autoClose).toBeGreaterThan(5000); // else it goes unseen
  });
});
