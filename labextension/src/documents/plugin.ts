import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import { DocumentWidget } from '@jupyterlab/docregistry';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { Contents, IDefaultDrive } from '@jupyterlab/services';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';
import { Api } from '../api';
import { dlpIcon } from '../icon';
import {
  HEADER_ONLY_PROVIDER,
  HeaderOnlyProvider
} from './header_only_provider';
import { addOpenCommand } from './open_command';
import { VolumeFactory } from './volume_factory';
import { VolumeView } from './volume_view';

const FACTORY = 'DLP slice viewer';

export const documentsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'dlp-lab:documents',
  description: 'Opens volumes and DICOM series in the slice viewer.',
  autoStart: true,
  optional: [ILayoutRestorer, IDefaultDrive, IFileBrowserFactory, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    restorer: ILayoutRestorer | null,
    drive: Contents.IDrive | null,
    browserFactory: IFileBrowserFactory | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('dlp_lab');
    const { serverSettings } = app.serviceManager;
    const api = new Api(serverSettings);
    const providers = drive?.contentProviderRegistry;
    if (!providers) {
      return; // without it, opening a file would download it and leave a copy
    }
    providers.register(
      HEADER_ONLY_PROVIDER,
      new HeaderOnlyProvider({ apiEndpoint: 'api/contents', serverSettings })
    );
    const tracker = new WidgetTracker<DocumentWidget<VolumeView>>({
      namespace: 'dlp-lab-viewer'
    });
    // After all others, for the first one that claims a kind of file stays its default.
    // Notebook 7 restores no layout, and opens nothing when a factory is added while it reads its settings.
    const ready = restorer ? app.started : app.restored;
    void ready.then(() => addFactory(app, api, tracker, trans));
    if (restorer) {
      void restorer.restore(tracker, {
        command: 'docmanager:open',
        args: ({ context }) => ({ path: context.path, factory: FACTORY }),
        name: ({ context }) => context.path
      });
    }
    addOpenCommand(app, api, browserFactory, trans);
  }
};

function addFactory(
  app: JupyterFrontEnd,
  api: Api,
  tracker: WidgetTracker<DocumentWidget<VolumeView>>,
  trans: TranslationBundle
): void {
  const { docRegistry, serviceManager } = app;
  const kinds = [
    { name: 'dlp-dicom', displayName: 'DICOM', extensions: ['.dcm'] },
    { name: 'dlp-hdf5', displayName: 'HDF5', extensions: ['.h5', '.hdf5'] }
  ];
  for (const kind of kinds) {
    docRegistry.addFileType({
      ...kind,
      fileFormat: 'base64',
      contentType: 'file',
      icon: dlpIcon
    });
  }
  const names = kinds.map(({ name }) => name);
  const factory = new VolumeFactory(
    {
      name: FACTORY,
      label: trans.__('DLP slice viewer'),
      modelName: 'base64',
      fileTypes: names,
      defaultFor: names,
      readOnly: true,
      contentProviderId: HEADER_ONLY_PROVIDER
    },
    api,
    serviceManager.contents,
    trans
  );
  factory.widgetCreated.connect((_, widget) => {
    widget.title.icon = dlpIcon;
    void tracker.add(widget);
    widget.context.pathChanged.connect(() => void tracker.save(widget));
  });
  docRegistry.addWidgetFactory(factory);
}
