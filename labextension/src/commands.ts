import { JupyterFrontEnd } from '@jupyterlab/application';
import { TranslationBundle } from '@jupyterlab/translation';
import { ChosenFolder } from './chosen_folder';
import { JobRequest } from './generated/types';
import { dlpIcon } from './icon';
import { JobsModel } from './jobs_model';
import { JobsPanel } from './jobs_panel';
import { RememberedRequests } from './remembered_requests';
import { RunDialog } from './run_dialog';
import { StartValues } from './run_form';
import { SeriesChoices } from './series_choices';
import { tellError } from './tell_error';

export namespace CommandIDs {
  /** Show the panel. */
  export const openPanel = 'dlp-lab:open-panel';
  /**
   * Ask for a task's parameters and run it: `task`, `path` (else the selected folder), `values` to start from, `read`
   * how the folder is to be read.
   */
  export const runTask = 'dlp-lab:run-task';
}

/** Arguments of `CommandIDs.runTask`. */
interface RunTaskArgs {
  task?: string;
  path?: string;
  values?: StartValues;
  read?: JobRequest['read'];
  /** What the menu is about that the command stands in, where that is no folder. */
  inMenuOf?: 'series';
}

/** Add the commands that launcher, palette and menus refer to. */
export function addCommands(
  app: JupyterFrontEnd,
  model: JobsModel,
  panel: JobsPanel,
  chosen: ChosenFolder,
  remembered: RememberedRequests,
  choices: SeriesChoices,
  trans: TranslationBundle
): void {
  const { commands, shell } = app;

  commands.addCommand(CommandIDs.openPanel, {
    label: trans.__('DLP Lab Jobs'),
    caption: trans.__('Show the jobs of DLP Lab'),
    icon: dlpIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => shell.activateById(panel.id)
  });

  commands.addCommand(CommandIDs.runTask, {
    label: args => {
      const { task = '', inMenuOf } = args as RunTaskArgs;
      return inMenuOf === 'series'
        ? (model.task(task)?.title ?? task)
        : trans.__('Run %1 on this folder', task);
    },
    icon: dlpIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          task: { type: 'string' },
          path: { type: 'string' },
          values: { type: 'object' },
          read: { type: 'object' },
          inMenuOf: { type: 'string' }
        },
        required: ['task']
      }
    },
    isVisible: args => chosen.path((args as RunTaskArgs).path) !== null,
    execute: async args => {
      const { task: name, values, read, path: named } = args as RunTaskArgs;
      const path = chosen.path(named);
      const jobPath = chosen.jobPath(path);
      const task = await model.askTask(name);
      if (task === undefined || jobPath === null) {
        tellError(
          path !== null && task === undefined
            ? trans.__('The server has no task named “%1”.', name ?? '')
            : chosen.whyNot(path)
        );
        return;
      }
      const options = {
        task,
        path: jobPath,
        values: {
          ...(values ?? (await remembered.of(task.name))),
          ...(read !== undefined && { read })
        },
        choices: () =>
          choices.beside(jobPath, model.health?.root_offset ?? null),
        trans
      };
      const dialog = new RunDialog(options, async request => {
        await model.submit(request);
        await remembered.remember(request);
      });
      const { button } = await dialog.launch();
      if (button.accept) {
        shell.activateById(panel.id);
      }
    }
  });
}
