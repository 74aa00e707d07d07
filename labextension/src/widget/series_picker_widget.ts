/** The series of a folder to choose from, as an anywidget. */

import { SeriesSummary } from '../generated/types';
import { sizeText, USABLE } from '../series_text';
import { untranslated } from '../viewer/translate';
import { element } from './element';
import {
  MessageView,
  pictureUrl,
  renderer,
  revokePictures
} from './message_view';

/** What the kernel tells. */
export type PickerTold =
  | { type: 'series'; series: SeriesSummary[]; note: string }
  | { type: 'chosen'; index: number }
  | { type: 'picture'; index: number }
  | { type: 'no-picture'; index: number; reason: string };

/** A list of series of which one is chosen by a click, or by the keyboard as any radio button. */
export class SeriesPickerView implements MessageView<PickerTold> {
  constructor(private readonly _send: (content: unknown) => void) {
    this._list.setAttribute('role', 'radiogroup');
    this._list.setAttribute('aria-label', untranslated('Series'));
    this._note.textContent = untranslated('Looking through the folder…');
    this.node.append(this._list, this._note);
  }

  hear(told: PickerTold, buffers: readonly DataView[]): void {
    switch (told.type) {
      case 'series':
        this._clear();
        this._note.textContent = told.note;
        this._list.append(
          ...told.series.map((series, index) => this._item(series, index))
        );
        return;
      case 'chosen': {
        const input = this._items()[told.index]?.querySelector('input');
        if (input) {
          input.checked = true;
        }
        return;
      }
      case 'picture': {
        const place = this._picture(told.index);
        if (place) {
          revokePictures(place);
          const image = element('img', '');
          image.alt = '';
          image.src = pictureUrl(buffers[0]);
          place.replaceChildren(image);
        }
        return;
      }
      case 'no-picture': {
        const place = this._picture(told.index);
        if (place) {
          place.textContent = untranslated('no picture');
          place.title = told.reason;
        }
      }
    }
  }

  dispose(): void {
    this._clear();
    this.node.remove();
  }

  private _item(series: SeriesSummary, index: number): HTMLElement {
    const isUsable = series.verdict === USABLE;
    const input = element('input', '');
    input.type = 'radio';
    input.name = this._group;
    input.disabled = !isUsable;
    input.addEventListener('change', () =>
      this._send({ type: 'choose', index })
    );
    const title = element('span', 'dlp-SeriesPicker-title', '', [
      element('span', 'dlp-SeriesPicker-modality', series.modality || '?'),
      element('bdi', '', series.description || 'no description')
    ]);
    const said = isUsable
      ? series.warnings.map(text =>
          element('span', 'dlp-SeriesPicker-warning', text)
        )
      : [
          element(
            'span',
            'dlp-SeriesPicker-refusal',
            `${series.verdict}: ${series.reason}`
          )
        ];
    const item = element('label', 'dlp-SeriesPicker-item', '', [
      input,
      element('span', 'dlp-SeriesPicker-picture', isUsable ? '' : 'no picture'),
      element('span', 'dlp-SeriesPicker-text', '', [
        title,
        element('span', 'dlp-SeriesPicker-size', sizeText(series)),
        ...said
      ])
    ]);
    item.dataset.verdict = series.verdict;
    return item;
  }

  private _items(): HTMLElement[] {
    return [
      ...this._list.querySelectorAll<HTMLElement>('.dlp-SeriesPicker-item')
    ];
  }

  private _picture(index: number): HTMLElement | null | undefined {
    return this._items()[index]?.querySelector<HTMLElement>(
      '.dlp-SeriesPicker-picture'
    );
  }

  private _clear(): void {
    revokePictures(this._list);
    this._list.replaceChildren();
  }

  readonly node = element('div', 'dlp-SeriesPicker');
  private readonly _list = element('div', 'dlp-SeriesPicker-list');
  private readonly _note = element('div', 'dlp-SeriesPicker-note');
  /** Radio buttons of two views must not switch each other off. */
  private readonly _group = `dlp-series-${Math.random().toString(36).slice(2)}`;
}

export default { render: renderer(send => new SeriesPickerView(send)) };
