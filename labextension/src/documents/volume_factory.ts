import {
  ABCWidgetFactory,
  DocumentRegistry,
  DocumentWidget
} from '@jupyterlab/docregistry';
import { Contents } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Api } from '../api';
import { localPath } from '../browser_path';
import { toJobPath } from '../root_paths';
import { ViewedVolumes, VolumeView } from './volume_view';

/** Makes a view of the volume in a file, or of the series that a DICOM file belongs to. */
export class VolumeFactory extends ABCWidgetFactory<
  DocumentWidget<VolumeView>
> {
  constructor(
    options: DocumentRegistry.IWidgetFactoryOptions,
    private readonly _api: Api,
    private readonly _contents: Contents.IManager,
    private readonly _trans: TranslationBundle
  ) {
    super(options);
  }

  protected createNewWidget(
    context: DocumentRegistry.Context
  ): DocumentWidget<VolumeView> {
    const content = new VolumeView(
      this._api,
      this._volumesOf(context.path),
      this._trans
    );
    return new DocumentWidget({ content, context });
  }

  private async _volumesOf(path: string): Promise<ViewedVolumes> {
    const local = localPath(this._contents, path);
    const { root_offset: offset } = await this._api.health();
    const inRoot =
      local === null || offset === null ? null : toJobPath(local, offset);
    if (inRoot === null) {
      throw new Error(
        this._trans.__(
          '“%1” is outside the folder that DLP Lab works in.',
          path
        )
      );
    }
    return { before: { path: inRoot } };
  }
}
