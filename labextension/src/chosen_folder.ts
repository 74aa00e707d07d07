import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { Contents } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { localPath } from './browser_path';
import { JobsModel } from './jobs_model';
import { toJobPath } from './root_paths';

/** The folder that a command is about: one that is named, else the one that is selected in the file browser. */
export class ChosenFolder {
  constructor(
    private readonly _contents: Contents.IManager,
    private readonly _browserFactory: IFileBrowserFactory | null,
    private readonly _model: JobsModel,
    private readonly _trans: TranslationBundle
  ) {}

  /** Relative to the folder that the server serves; null when there is not exactly one. */
  path(named: string | undefined): string | null {
    if (named !== undefined) {
      return named;
    }
    const browser = this._browserFactory?.tracker.currentWidget;
    const selected = [...(browser?.selectedItems() ?? [])];
    return selected.length === 1 && selected[0].type === 'directory'
      ? localPath(this._contents, selected[0].path)
      : null;
  }

  /** The same folder as jobs name it; null when there is none, or jobs cannot name it. */
  jobPath(path: string | null): string | null {
    const offset = this._model.health?.root_offset ?? null;
    return path === null || offset === null ? null : toJobPath(path, offset);
  }

  /** Why jobs cannot name a folder. */
  whyNot(path: string | null): string {
    const offset = this._model.health?.root_offset ?? null;
    if (path === null) {
      return this._trans.__('Select one folder in the file browser.');
    }
    return offset === null
      ? this._trans.__(
          'DLP Lab works in a folder that the file browser does not show. Set DlpLabApp.root to one that it shows.'
        )
      : this._trans.__(
          '“%1” is outside “%2”, the folder that DLP Lab works in.',
          path,
          offset
        );
  }
}
