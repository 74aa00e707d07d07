import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Api } from './api';
import { ChosenFolder } from './chosen_folder';
import { addCommands, CommandIDs } from './commands';
import { addTasksToContextMenu } from './context_menu';
import { documentsPlugin } from './documents/plugin';
import { addJobCommands } from './job_commands';
import { JobNotifications, NotifyOf } from './job_notifications';
import { JobsModel } from './jobs_model';
import { JobsPanel } from './jobs_panel';
import { JobsStatus } from './jobs_status';
import { RememberedRequests } from './remembered_requests';
import { SeriesChoices } from './series_choices';
import { addSeriesBrowser } from './series_commands';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'dlp-lab:plugin',
  description: 'Runs DLP Lab tasks on folders and shows their jobs.',
  autoStart: true,
  optional: [
    IFileBrowserFactory,
    ILauncher,
    ICommandPalette,
    ILayoutRestorer,
    ISettingRegistry,
    IStateDB,
    IStatusBar,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    browserFactory: IFileBrowserFactory | null,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    settingRegistry: ISettingRegistry | null,
    state: IStateDB | null,
    statusBar: IStatusBar | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('dlp_lab');
    const category = trans.__('DLP Lab');
    const { serviceManager } = app;
    const api = new Api(serviceManager.serverSettings);
    const model = new JobsModel(api, serviceManager);
    const chosen = new ChosenFolder(
      serviceManager.contents,
      browserFactory,
      model,
      trans
    );
    const actions = addJobCommands(app, model, trans);
    const panel = new JobsPanel(model, actions, trans);
    const showPanel = () => app.shell.activateById(panel.id);
    app.shell.add(panel, 'left', { rank: 700, type: 'DLP Lab' });
    restorer?.add(panel, panel.id);

    statusBar?.registerStatusItem('dlp-lab:jobs-status', {
      item: new JobsStatus(model, showPanel, trans),
      align: 'left',
      rank: 10,
      isActive: () => model.open.running + model.open.queued > 0,
      activeStateChanged: model.stateChanged
    });
    const notifications = new JobNotifications(model, showPanel, trans);
    const remembered = new RememberedRequests(state);
    void followSettings(settingRegistry, notifications, remembered);

    const choices = new SeriesChoices(api, serviceManager.contents);

    addCommands(app, model, panel, chosen, remembered, choices, trans);
    addSeriesBrowser(app, api, model, chosen, trans);
    addTasksToContextMenu(app.contextMenu, model);
    const command = CommandIDs.openPanel;
    launcher?.add({ command, category, rank: 1 });
    palette?.addItem({ command, category });
  }
};

/** Do as the settings say, now and whenever they change. */
async function followSettings(
  registry: ISettingRegistry | null,
  notifications: JobNotifications,
  remembered: RememberedRequests
): Promise<void> {
  const settings = await registry?.load(plugin.id).catch(() => undefined);
  const follow = () => {
    const { notifyOf, rememberParameters } = settings?.composite ?? {};
    notifications.notifyOf = (notifyOf as NotifyOf | undefined) ?? 'all';
    remembered.isOn = (rememberParameters as boolean | undefined) ?? true;
  };
  settings?.changed.connect(follow);
  follow();
}

export default [plugin, documentsPlugin];
