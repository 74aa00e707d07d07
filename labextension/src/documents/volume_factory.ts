import {
  ABCWidgetFactory,
  DocumentRegistry,
  DocumentWidget
} from '@jupyterlab/docregistry';
import { Contents } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Api } from '../api';
import { volumeAt } from './volume_path';
import { VolumeView } from './volume_view';

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
      volumeAt(context.path, this._api, this._contents, this._trans).then(
        before => ({ before })
      ),
      this._trans
    );
    const widget = new DocumentWidget({ content, context });
    widget.toolbar.hide(); // it would only say that the file is read-only
    return widget;
  }
}
