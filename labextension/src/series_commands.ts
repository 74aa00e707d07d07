import { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { Api } from './api';
import { ChosenFolder } from './chosen_folder';
import { CommandIDs } from './commands';
import { OPEN_VIEWER } from './documents/open_command';
import { SeriesList, SeriesSummary } from './generated/types';
import { dlpIcon } from './icon';
import { JobsModel } from './jobs_model';
import { PassingMenu } from './passing_menu';
import { DEFAULT_READ } from './read_options';
import { toBrowserPath } from './root_paths';
import { SeriesBrowser } from './series_browser';
import { SeriesModel } from './series_model';
import { tellError } from './tell_error';

/** Show the series of a folder: `path`, else the selected folder. */
export const BROWSE_SERIES = 'dlp-lab:browse-series';

/** Below Lab's own “Open” entries, above the tasks. */
const RANK = 2.5;

/** Add the command that shows the series of a folder, also to the context menu of folders. */
export function addSeriesBrowser(
  app: JupyterFrontEnd,
  api: Api,
  model: JobsModel,
  chosen: ChosenFolder,
  trans: TranslationBundle
): void {
  const { commands, shell } = app;
  const open = new Map<string, MainAreaWidget<SeriesBrowser>>();

  const chooseTask = (
    found: SeriesList,
    series: SeriesSummary,
    x: number,
    y: number
  ) => {
    const path = toBrowserPath(
      found.input_dir,
      model.health?.root_offset ?? ''
    );
    // named only where the folder does not say by itself which one is meant
    const only = found.series.length === 1;
    const read = {
      ...DEFAULT_READ,
      series: only ? null : series.series_instance_uid
    };
    const args = { path, read, inMenuOf: 'series' };
    const names = model.tasks.map(({ name }) => name);
    taskMenu(commands, names, args).open(x, y);
  };

  commands.addCommand(BROWSE_SERIES, {
    label: trans.__('Browse DICOM series'),
    caption: trans.__('Show the DICOM series in this folder'),
    icon: dlpIcon,
    describedBy: {
      args: { type: 'object', properties: { path: { type: 'string' } } }
    },
    isVisible: (args: ReadonlyPartialJSONObject) =>
      chosen.path(args.path as string | undefined) !== null,
    execute: (args: ReadonlyPartialJSONObject) => {
      const path = chosen.path(args.path as string | undefined);
      const folder = chosen.jobPath(path);
      if (folder === null) {
        tellError(chosen.whyNot(path));
        return;
      }
      const before = open.get(folder);
      if (before !== undefined) {
        void before.content.model.refresh();
        shell.activateById(before.id);
        return;
      }
      const content = new SeriesBrowser(
        new SeriesModel(api, folder),
        ({ input_dir: path }, { series_instance_uid: series }) =>
          void commands.execute(OPEN_VIEWER, { before: { path, series } }),
        chooseTask,
        trans
      );
      const widget = new MainAreaWidget({ content });
      widget.id = `${content.id}-tab`;
      open.set(folder, widget);
      widget.disposed.connect(() => open.delete(folder));
      shell.add(widget, 'main');
    }
  });
  app.contextMenu.addItem({
    command: BROWSE_SERIES,
    selector: '.jp-DirListing-item[data-isdir="true"]',
    rank: RANK
  });
}

function taskMenu(
  commands: CommandRegistry,
  tasks: readonly string[],
  args: object
): PassingMenu {
  const menu = new PassingMenu(commands);
  for (const task of tasks) {
    menu.addItem({ command: CommandIDs.runTask, args: { task, ...args } });
  }
  return menu;
}
