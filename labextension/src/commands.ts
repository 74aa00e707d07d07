import { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { TranslationBundle } from '@jupyterlab/translation';
import { localPath } from './browser_path';
import { TaskInfo } from './generated/types';
import { dlpIcon } from './icon';
import { JobsModel } from './jobs_model';
import { JobsPanel } from './jobs_panel';
import { toJobPath } from './root_paths';
import { RunDialog } from './run_dialog';

export namespace CommandIDs {
  /** Show the panel. */
  export const openPanel = 'dlp-lab:open-panel';
  /** Ask for a task's parameters and run it: `task`, `path` (else the selected folder), `params` to start from. */
  export const runTask = 'dlp-lab:run-task';
}

/** Arguments of `CommandIDs.runTask`. */
interface RunTaskArgs {
  task?: string;
  path?: string;
  params?: Record<string, unknown>;
}

/** Add the commands that launcher, palette and menus refer to. */
export function addCommands(
  app: JupyterFrontEnd,
  model: JobsModel,
  panel: JobsPanel,
  browserFactory: IFileBrowserFactory | null,
  trans: TranslationBundle
): void {
  const { commands, shell, serviceManager } = app;

  /** The folder a command is about, relative to the server's root; null when there is not exactly one. */
  const folderOf = (args: RunTaskArgs): string | null => {
    if (args.path !== undefined) {
      return args.path;
    }
    const browser = browserFactory?.tracker.currentWidget;
    const selected = [...(browser?.selectedItems() ?? [])];
    return selected.length === 1 && selected[0].type === 'directory'
      ? localPath(serviceManager.contents, selected[0].path)
      : null;
  };

  commands.addCommand(CommandIDs.openPanel, {
    label: trans.__('DLP Lab Jobs'),
    caption: trans.__('Show the jobs of DLP Lab'),
    icon: dlpIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => shell.activateById(panel.id)
  });

  commands.addCommand(CommandIDs.runTask, {
    label: args =>
      trans.__('Run %1 on this folder', (args as RunTaskArgs).task ?? ''),
    icon: dlpIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          task: { type: 'string' },
          path: { type: 'string' },
          params: { type: 'object' }
        },
        required: ['task']
      }
    },
    isVisible: args => folderOf(args as RunTaskArgs) !== null,
    execute: async args => {
      const { task: name, params = {} } = args as RunTaskArgs;
      const path = folderOf(args as RunTaskArgs);
      const task = model.task(name);
      const offset = model.health?.root_offset ?? null;
      const jobPath =
        path === null || offset === null ? null : toJobPath(path, offset);
      if (task === undefined || jobPath === null) {
        Notification.error(whyNot(name, task, path, offset, trans));
        return;
      }
      const options = { task, path: jobPath, params, trans };
      const dialog = new RunDialog(options, request => model.submit(request));
      const { button } = await dialog.launch();
      if (button.accept) {
        shell.activateById(panel.id);
      }
    }
  });
}

/** Why a task cannot be run on a folder. */
function whyNot(
  name: string | undefined,
  task: TaskInfo | undefined,
  path: string | null,
  offset: string | null,
  trans: TranslationBundle
): string {
  if (path === null) {
    return trans.__('Select one folder in the file browser.');
  }
  if (task === undefined) {
    return trans.__('The server has no task named “%1”.', name ?? '');
  }
  return offset === null
    ? trans.__(
        'DLP Lab works in a folder that the file browser does not show. Set DlpLabApp.root to one that it shows.'
      )
    : trans.__(
        '“%1” is outside “%2”, the folder that DLP Lab works in.',
        path,
        offset
      );
}
