import { TranslationBundle } from '@jupyterlab/translation';
import { HeaderElement } from '../generated/types';

/** The elements of a slice's header, with a field to search in them. All values are shown as text. */
export class HeaderTable {
  readonly node = document.createElement('div');

  constructor(trans: TranslationBundle) {
    this.node.className = 'dlp-Header';
    this._search.type = 'search';
    this._search.placeholder = trans.__('Search tag, name or value');
    this._search.setAttribute('aria-label', trans.__('Search the header'));
    this._search.addEventListener('input', () => this._filter());
    this._caption.className = 'dlp-Header-caption';
    const table = document.createElement('table');
    const head = table.createTHead().insertRow();
    for (const title of [
      trans.__('Tag'),
      trans.__('Name'),
      trans.__('VR'),
      trans.__('Value')
    ]) {
      const cell = document.createElement('th');
      cell.textContent = title;
      head.append(cell);
    }
    table.append(this._body);
    const bar = document.createElement('div');
    bar.className = 'dlp-Header-bar';
    bar.append(this._search, this._caption);
    this.node.append(bar, table);
  }

  show(elements: readonly HeaderElement[], caption: string): void {
    this._caption.textContent = caption;
    this._body.replaceChildren(...elements.map(rowOf));
    this._filter();
  }

  /** Say why there is no header. */
  tell(message: string): void {
    this._caption.textContent = message;
    this._body.replaceChildren();
  }

  private _filter(): void {
    const wanted = this._search.value.trim().toLowerCase();
    for (const row of this._body.rows) {
      row.hidden = !(row.textContent ?? '').toLowerCase().includes(wanted);
    }
  }

  private readonly _search = document.createElement('input');
  private readonly _caption = document.createElement('span');
  private readonly _body = document.createElement('tbody');
}

function rowOf({
  depth,
  tag,
  vr,
  name,
  value
}: HeaderElement): HTMLTableRowElement {
  const row = document.createElement('tr');
  for (const text of [`${'> '.repeat(depth)}${tag}`, name, vr, value]) {
    row.insertCell().textContent = text;
  }
  return row;
}
