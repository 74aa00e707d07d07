import { COLOR_MAPS, ColorMapName } from './color_maps';
import { PLANE_TITLES } from './orientation';
import { WHOLE } from './plane_layout';
import { Translate } from './translate';
import {
  Comparison,
  Shown,
  Tool,
  ViewerState,
  ViewerStore
} from './viewer_state';
import { Window, WindowPreset } from './windowing';

/** What the controls of a viewer need beside its state. */
export interface ControlOptions {
  translate: Translate;
  presets: readonly WindowPreset[];
  /** The window that suits what is shown. */
  automatic: () => Window | null;
  hasTwo: boolean;
  names: readonly [string, string];
  savePicture: () => void;
}

/** The row of controls above the planes. */
export class Controls {
  readonly node = document.createElement('div');

  constructor(
    private readonly _store: ViewerStore,
    private readonly _options: ControlOptions
  ) {
    const { translate } = _options;
    this.node.className = 'dlp-Viewer-controls';
    this.node.setAttribute('role', 'toolbar');
    this.node.setAttribute('aria-label', translate('Viewer'));
    this.node.append(
      this._shown(),
      ...(_options.hasTwo ? [this._comparison()] : []),
      this._tool(),
      this._window(),
      this._colors(),
      this._toggle(translate('Invert'), translate('Swap light and dark (I)'), {
        get: state => state.inverted,
        set: inverted => ({ inverted })
      }),
      this._toggle(
        translate('Crosshair'),
        translate('Show the crosshair (X)'),
        {
          get: state => state.hasCrosshair,
          set: hasCrosshair => ({ hasCrosshair })
        }
      ),
      this._toggle(
        translate('Cine'),
        translate('Run through the slices (space)'),
        {
          get: state => state.cine !== null,
          set: (on, state) => ({
            cine: on ? (state.shown === 'all' ? 'axial' : state.shown) : null
          })
        }
      ),
      this._button(
        translate('Reset view'),
        translate('Show all of each plane (0)'),
        () =>
          _store.set({
            views: { axial: WHOLE, coronal: WHOLE, sagittal: WHOLE }
          })
      ),
      this._button(
        translate('Save PNG'),
        translate('Save what is shown as a picture'),
        _options.savePicture
      )
    );
    _store.listen(state => this._show(state));
    this._show(_store.state);
  }

  private _shown(): HTMLElement {
    const { translate } = this._options;
    return this._select<Shown>(
      translate('Planes'),
      [
        ['all', translate('3 planes')],
        ...PLANE_TITLES.map((title): [Shown, string] => [
          title,
          translate(title)
        ])
      ],
      state => state.shown,
      shown => ({ shown })
    );
  }

  private _comparison(): HTMLElement {
    const {
      translate,
      names: [before, after]
    } = this._options;
    return this._select<Comparison>(
      translate('Compare'),
      [
        ['side', translate('side by side')],
        ['swipe', translate('swipe')],
        ['difference', translate('difference')],
        ['before', before],
        ['after', after]
      ],
      state => state.comparison,
      comparison => ({ comparison })
    );
  }

  private _tool(): HTMLElement {
    const { translate } = this._options;
    return this._select<Tool>(
      translate('Drag'),
      [
        ['crosshair', translate('crosshair')],
        ['window', translate('window')],
        ['pan', translate('pan')],
        ['zoom', translate('zoom')]
      ],
      state => state.tool,
      tool => ({ tool })
    );
  }

  private _window(): HTMLElement {
    const { translate, presets, automatic } = this._options;
    const choices: Array<[string, string]> = [
      ['', translate('by hand')],
      ['auto', translate('automatic')],
      ...presets.map(({ name }): [string, string] => [name, translate(name)])
    ];
    return this._select<string>(
      translate('Window'),
      choices,
      ({ window }) =>
        presets.find(preset => isSame(preset.window, window))?.name ?? '',
      name => {
        const window =
          name === 'auto'
            ? automatic()
            : presets.find(preset => preset.name === name)?.window;
        return window ? { window } : {};
      }
    );
  }

  private _colors(): HTMLElement {
    const { translate } = this._options;
    return this._select<ColorMapName>(
      translate('Colours'),
      COLOR_MAPS.map(name => [name, translate(name)]),
      state => state.colorMap,
      colorMap => ({ colorMap })
    );
  }

  private _select<Value extends string>(
    label: string,
    choices: ReadonlyArray<readonly [Value, string]>,
    get: (state: ViewerState) => Value,
    set: (value: Value) => Partial<ViewerState>
  ): HTMLElement {
    const select = document.createElement('select');
    select.setAttribute('aria-label', label);
    for (const [value, text] of choices) {
      select.add(new Option(text, value));
    }
    select.addEventListener('change', () => {
      this._store.set(set(select.value as Value));
      this._show(this._store.state);
    });
    this._updates.push(state => (select.value = get(state)));
    const node = document.createElement('label');
    node.append(label, select);
    return node;
  }

  private _toggle(
    label: string,
    title: string,
    {
      get,
      set
    }: {
      get: (state: ViewerState) => boolean;
      set: (on: boolean, state: ViewerState) => Partial<ViewerState>;
    }
  ): HTMLElement {
    const button = this._button(label, title, () => {
      const { state } = this._store;
      this._store.set(set(!get(state), state));
    });
    this._updates.push(state =>
      button.setAttribute('aria-pressed', String(get(state)))
    );
    return button;
  }

  private _button(
    label: string,
    title: string,
    onClick: () => void
  ): HTMLButtonElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = label;
    button.title = title;
    button.addEventListener('click', onClick);
    return button;
  }

  private _show(state: ViewerState): void {
    this._updates.forEach(update => update(state));
  }

  private readonly _updates: Array<(state: ViewerState) => void> = [];
}

function isSame(one: Window, other: Window | null): boolean {
  return one.low === other?.low && one.high === other.high;
}
