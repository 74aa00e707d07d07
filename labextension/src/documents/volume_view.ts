import { TranslationBundle } from '@jupyterlab/translation';
import { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { Api } from '../api';
import { OpenVolume } from '../generated/types';
import { SliceViewer } from '../viewer/slice_viewer';
import { HeaderTable } from './header_table';
import { RestSource } from './rest_source';

/** What a view is opened on. */
export interface ViewedVolumes {
  before: OpenVolume;
  after?: OpenVolume;
  labels?: OpenVolume;
  names?: readonly [string, string];
  /** What the labels are called, by their numbers. */
  labelNames?: Readonly<Record<string, string>>;
}

/** The slices of a volume and, on a second tab, the DICOM header of the slice that is shown. */
export class VolumeView extends Widget {
  constructor(
    private readonly _api: Api,
    volumes: Promise<ViewedVolumes>,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('dlp-VolumeView');
    this._header = new HeaderTable(_trans);
    this._message.className = 'dlp-VolumeView-message';
    this._message.setAttribute('role', 'status');
    this._message.textContent = _trans.__('Opening…');
    this._slicesTab = this._tab(_trans.__('Slices'), () => this._show(false));
    this._headerTab = this._tab(_trans.__('Header'), () => this._show(true));
    const tabs = document.createElement('div');
    tabs.className = 'dlp-VolumeView-tabs';
    tabs.setAttribute('role', 'tablist');
    tabs.append(this._slicesTab, this._headerTab);
    this.node.append(tabs, this._message, this._header.node);
    this._show(false);
    void this._open(volumes);
  }

  dispose(): void {
    this._viewer?.dispose();
    super.dispose();
  }

  protected onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    const first = this.node.querySelector<HTMLElement>('canvas') ?? this.node;
    first.focus({ preventScroll: true });
  }

  private async _open(volumes: Promise<ViewedVolumes>): Promise<void> {
    const opened: RestSource[] = [];
    const open = async (request: OpenVolume, comparedWith?: RestSource) => {
      const source = await RestSource.open(this._api, request, comparedWith);
      opened.push(source);
      return source;
    };
    try {
      const { before, after, labels, names, labelNames } = await volumes;
      const first = await open(before);
      const content = {
        before: first,
        after: after && (await open(after, first)),
        labels: labels && (await open(labels)),
        names,
        labelNames
      };
      if (this.isDisposed) {
        opened.forEach(source => source.dispose());
        return;
      }
      this._source = content.before;
      this._viewer = new SliceViewer(content, this._trans.__.bind(this._trans));
      this._tellWarnings(content.before.info.warnings);
      this.node.insertBefore(this._viewer.node, this._header.node);
      this._show(false);
    } catch (error) {
      opened.forEach(source => source.dispose());
      this._message.textContent =
        error instanceof Error ? error.message : String(error);
      this._message.setAttribute('role', 'alert');
    }
  }

  private _tellWarnings(warnings: readonly string[]): void {
    this._message.textContent = warnings.join('\n');
    this._message.hidden = warnings.length === 0;
  }

  private _tab(label: string, onClick: () => void): HTMLButtonElement {
    const tab = document.createElement('button');
    tab.type = 'button';
    tab.textContent = label;
    tab.setAttribute('role', 'tab');
    tab.addEventListener('click', onClick);
    return tab;
  }

  private _show(header: boolean): void {
    this._slicesTab.setAttribute('aria-selected', String(!header));
    this._headerTab.setAttribute('aria-selected', String(header));
    this._headerTab.disabled = !this._source?.info.has_headers;
    this._header.node.hidden = !header;
    if (this._viewer) {
      this._viewer.node.hidden = header;
    }
    if (header) {
      void this._showHeader();
    }
  }

  private async _showHeader(): Promise<void> {
    if (!this._source || !this._viewer) {
      return;
    }
    const [slice] = this._viewer.store.state.position;
    this._headerSlice = slice;
    const { shape, slice_files: files } = this._source.info;
    const caption = this._trans.__('Slice %1 of %2', slice + 1, shape[0]);
    this._header.tell(caption);
    const isAsked = () => this._headerSlice === slice;
    try {
      const elements = await this._source.header(slice);
      const file = files[slice];
      if (isAsked()) {
        this._header.show(elements, file ? `${caption}: ${file}` : caption);
      }
    } catch (error) {
      if (isAsked()) {
        this._header.tell(
          error instanceof Error ? error.message : String(error)
        );
      }
    }
  }

  private readonly _header: HeaderTable;
  private readonly _message = document.createElement('p');
  private readonly _slicesTab: HTMLButtonElement;
  private readonly _headerTab: HTMLButtonElement;
  private _source: RestSource | null = null;
  private _viewer: SliceViewer | null = null;
  /** Whose header was asked for last. */
  private _headerSlice = -1;
}
