import { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { Contents } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Api } from '../api';
import { dlpIcon } from '../icon';
import { volumeAt } from './volume_path';
import { ViewedVolumes, VolumeView } from './volume_view';

/**
 * Show the selected file or folder; or volumes by their paths or jobs: `before`, and optionally `after` and `labels`,
 * each as for REST, `names` of the first two, and the `title` of the tab.
 */
export const OPEN_VIEWER = 'dlp-lab:open-viewer';

/** Below Lab's own “Open” entries. */
const RANK = 2.5;
/** A file of DICOM often has no extension at all. */
const EXTENSIONS = ['.dcm', '.h5', '.hdf5', ''];

export function addOpenCommand(
  app: JupyterFrontEnd,
  api: Api,
  browserFactory: IFileBrowserFactory | null,
  trans: TranslationBundle
): void {
  const { commands, contextMenu, serviceManager, shell } = app;
  const selected = (): Contents.IModel | null => {
    const browser = browserFactory?.tracker.currentWidget;
    const items = [...(browser?.selectedItems() ?? [])];
    return items.length === 1 ? items[0] : null;
  };
  const volume = { type: 'object' as const };

  commands.addCommand(OPEN_VIEWER, {
    label: trans.__('Show slices'),
    caption: trans.__('Look at the volume or the DICOM series'),
    icon: dlpIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          before: volume,
          after: volume,
          labels: volume,
          names: { type: 'array', items: { type: 'string' } },
          title: { type: 'string' }
        }
      }
    },
    isVisible: args => args.before !== undefined || isShowable(selected()),
    execute: args => {
      const asked = args as Partial<ViewedVolumes> & { title?: string };
      const item = asked.before ? null : selected();
      if (!asked.before && !item) {
        throw new Error(trans.__('Select one file or folder to show.'));
      }
      const before = item
        ? volumeAt(item.path, api, serviceManager.contents, trans)
        : Promise.resolve(asked.before!);
      const volumes = before.then(one => ({ ...asked, before: one }));
      const content = new VolumeView(api, volumes, trans);
      const widget = new MainAreaWidget({ content });
      const name = PathExt.basename(item?.path ?? asked.before?.path ?? '');
      widget.title.label = asked.title ?? (name || trans.__('Slices'));
      widget.title.icon = dlpIcon;
      widget.title.closable = true;
      shell.add(widget, 'main');
      shell.activateById(widget.id);
    }
  });
  contextMenu.addItem({
    command: OPEN_VIEWER,
    selector: '.jp-DirListing-item',
    rank: RANK
  });
}

function isShowable(item: Contents.IModel | null): boolean {
  return (
    item !== null &&
    (item.type === 'directory' ||
      EXTENSIONS.includes(PathExt.extname(item.path).toLowerCase()))
  );
}
