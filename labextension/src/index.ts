import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Api } from './api';
import { addCommands, CommandIDs } from './commands';
import { addTasksToContextMenu } from './context_menu';
import { documentsPlugin } from './documents/plugin';
import { JobsModel } from './jobs_model';
import { JobsPanel } from './jobs_panel';
import { toBrowserPath } from './root_paths';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'dlp-lab:plugin',
  description: 'Runs DLP Lab tasks on folders and shows their jobs.',
  autoStart: true,
  optional: [
    IFileBrowserFactory,
    ILauncher,
    ICommandPalette,
    ILayoutRestorer,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    browserFactory: IFileBrowserFactory | null,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('dlp_lab');
    const category = trans.__('DLP Lab');
    const { serviceManager } = app;
    const model = new JobsModel(
      new Api(serviceManager.serverSettings),
      serviceManager
    );
    const tellRefusal = (error: Error) => Notification.error(error.message);
    const panel = new JobsPanel(
      model,
      {
        cancel: uid => void model.cancel(uid).catch(tellRefusal),
        retry: uid => void model.retry(uid).catch(tellRefusal),
        showResult: outputDir => {
          const offset = model.health?.root_offset ?? null;
          if (offset === null) {
            Notification.error(
              trans.__('The file browser does not show “%1”.', outputDir)
            );
            return;
          }
          const path = toBrowserPath(outputDir, offset);
          void app.commands.execute('filebrowser:go-to-path', { path });
        }
      },
      trans
    );
    app.shell.add(panel, 'left', { rank: 700, type: 'DLP Lab' });
    restorer?.add(panel, panel.id);

    addCommands(app, model, panel, browserFactory, trans);
    addTasksToContextMenu(app.contextMenu, model);
    const command = CommandIDs.openPanel;
    launcher?.add({ command, category, rank: 1 });
    palette?.addItem({ command, category });
  }
};

export default [plugin, documentsPlugin];
