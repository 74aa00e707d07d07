import { Contents, RestContentProvider } from '@jupyterlab/services';

export const HEADER_ONLY_PROVIDER = 'dlp-lab-header-only';

/**
 * Opens a large file without its content.
 *
 * A document asks for its file's content when it opens, which would bring a volume as base64 text, and then copies the
 * file into `.ipynb_checkpoints`. Who names this provider gets name and date alone, of a file that is said not to be
 * writable, for only of writable files such a copy is made.
 */
export class HeaderOnlyProvider extends RestContentProvider {
  async get(
    localPath: string,
    options?: Contents.IFetchOptions
  ): Promise<Contents.IModel> {
    const model = await super.get(localPath, {
      type: 'file',
      content: false,
      hash: false
    });
    return options?.content === false
      ? model
      : { ...model, content: '', format: 'base64', writable: false };
  }

  async save(): Promise<Contents.IModel> {
    throw new Error('The viewer of volumes writes no file.');
  }
}
