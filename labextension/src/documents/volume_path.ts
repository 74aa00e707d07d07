import { Contents } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Api } from '../api';
import { localPath } from '../browser_path';
import { OpenVolume } from '../generated/types';
import { toJobPath } from '../root_paths';

/** What to ask the server for to open a file or folder of the file browser; throws where it is outside the root. */
export async function volumeAt(
  path: string,
  api: Api,
  contents: Contents.IManager,
  trans: TranslationBundle
): Promise<OpenVolume> {
  const local = localPath(contents, path);
  const { root_offset: offset } = await api.health();
  const inRoot =
    local === null || offset === null ? null : toJobPath(local, offset);
  if (inRoot === null) {
    throw new Error(
      trans.__('“%1” is outside the folder that DLP Lab works in.', path)
    );
  }
  return { path: inRoot };
}
