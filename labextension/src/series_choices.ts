import { PathExt } from '@jupyterlab/coreutils';
import { Contents } from '@jupyterlab/services';
import { Api } from './api';
import { toBrowserPath, toJobPath } from './root_paths';
import { sizeText } from './series_text';

/** A series as a request can name it, and what it is. */
export interface SeriesChoice {
  /** A SeriesInstanceUID in the job's folder, or another folder as jobs name it. */
  value: string;
  label: string;
}

/** Of more folders a list is no help. */
const MOST_FOLDERS = 200;

/** Finds what a request can name beside the series that it is about. */
export class SeriesChoices {
  constructor(
    private readonly _api: Pick<Api, 'series'>,
    private readonly _contents: Pick<Contents.IManager, 'get'>
  ) {}

  /**
   * The series of a folder, where it has several, and the folders that lie beside it; what cannot be looked at is left
   * out.
   *
   * @param folder - As jobs name it.
   * @param offset - Where dlp-lab's root lies in the folder that Jupyter serves; null when it does not show it.
   */
  async beside(
    folder: string,
    offset: string | null
  ): Promise<readonly SeriesChoice[]> {
    const [series, folders] = await Promise.all([
      this._series(folder).catch(() => []),
      offset === null ? [] : this._folders(folder, offset).catch(() => [])
    ]);
    return [...series, ...folders];
  }

  private async _series(folder: string): Promise<SeriesChoice[]> {
    const { series } = await this._api.series(folder);
    return series.length < 2
      ? []
      : series.map(one => ({
          value: one.series_instance_uid,
          label: [one.modality, one.description, sizeText(one)]
            .filter(text => text !== '')
            .join(' · ')
        }));
  }

  private async _folders(
    folder: string,
    offset: string
  ): Promise<SeriesChoice[]> {
    if (folder === '.') {
      return []; // nothing outside the root can be named
    }
    const own = toBrowserPath(folder, offset);
    const { content } = await this._contents.get(PathExt.dirname(own));
    return (content as Contents.IModel[])
      .filter(({ type, path }) => type === 'directory' && path !== own)
      .slice(0, MOST_FOLDERS)
      .map(({ path, name }) => ({
        value: toJobPath(path, offset) ?? path,
        label: name
      }));
  }
}
