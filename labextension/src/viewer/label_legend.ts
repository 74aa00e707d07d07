import { labelColor } from './color_maps';
import { Translate } from './translate';
import { ViewerStore } from './viewer_state';

/** The labels that were seen, each with its colour and a box to hide it, and how opaque they are. */
export class LabelLegend {
  readonly node = document.createElement('div');

  constructor(
    private readonly _store: ViewerStore,
    private readonly _names: Readonly<Record<string, string>>,
    private readonly _translate: Translate
  ) {
    this.node.className = 'dlp-Viewer-legend';
    this.node.setAttribute('role', 'group');
    this.node.setAttribute('aria-label', _translate('Labels'));
    const opacity = document.createElement('input');
    opacity.type = 'range';
    opacity.min = '0';
    opacity.max = '1';
    opacity.step = '0.05';
    opacity.value = String(_store.state.labelOpacity);
    opacity.addEventListener('input', () =>
      _store.set({ labelOpacity: Number(opacity.value) })
    );
    const label = document.createElement('label');
    label.append(_translate('Opacity'), opacity);
    this.node.append(label);
  }

  /** Add the labels that are not there yet. */
  add(labels: ReadonlySet<number>): void {
    for (const label of labels) {
      if (!this._seen.has(label)) {
        this._seen.add(label);
        const rows = [
          ...this.node.querySelectorAll<HTMLElement>('[data-label]')
        ];
        const next = rows.find(row => Number(row.dataset.label) > label);
        this.node.insertBefore(this._row(label), next ?? null);
      }
    }
  }

  private _row(label: number): HTMLElement {
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = true;
    box.addEventListener('change', () => {
      const hidden = new Set(this._store.state.hiddenLabels);
      if (box.checked) {
        hidden.delete(label);
      } else {
        hidden.add(label);
      }
      this._store.set({ hiddenLabels: hidden });
    });
    const swatch = document.createElement('span');
    swatch.className = 'dlp-Viewer-swatch';
    swatch.style.background = `rgb(${labelColor(label).join(' ')})`;
    const row = document.createElement('label');
    row.dataset.label = String(label);
    row.append(
      box,
      swatch,
      this._names[label] ?? this._translate('label %1', String(label))
    );
    return row;
  }

  private readonly _seen = new Set<number>();
}
