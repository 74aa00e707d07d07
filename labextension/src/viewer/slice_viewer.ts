import { Axis, AXES, sameGrid } from './affine';
import { Again } from './again';
import { Cine } from './cine';
import { Controls } from './controls';
import { LabelLegend } from './label_legend';
import { PaintSchedule } from './paint_schedule';
import { PaneGrid } from './pane_grid';
import { PaneInput } from './pane_input';
import { WHOLE } from './plane_layout';
import { PaneContent } from './plane_pane';
import { Shader } from './raster';
import { pictureOf, savePicture } from './saved_picture';
import { Shades } from './shades';
import { SliceLoader } from './slice_loader';
import { SliceSource } from './slice_source';
import { StatusLine } from './status_line';
import { Translate } from './translate';
import { ViewerState, ViewerStore } from './viewer_state';
import { automaticWindow, presetsFor, Window } from './windowing';

/** What a viewer shows. */
export interface ViewerContent {
  before: SliceSource;
  /** Another volume on the same grid, or resampled on it, to compare with. */
  after?: SliceSource;
  /** Whole numbers on the same grid, drawn over it: 0 is clear. */
  labels?: SliceSource;
  labelNames?: Readonly<Record<string, string>>;
  /** What the two volumes are called. */
  names?: readonly [string, string];
}

/**
 * Looks at a volume, or at two: planes with crosshair, window, zoom, labels. It owns the sources, knows neither
 * JupyterLab nor a kernel, and goes into any element.
 */
export class SliceViewer {
  readonly node = document.createElement('div');

  /** Throws an error whose message can be shown when the volumes do not lie on one grid. */
  constructor(content: ViewerContent, translate: Translate) {
    const { before, after, labels } = content;
    for (const other of [after, labels]) {
      if (other && !sameGrid(before.info, other.info)) {
        throw new Error(
          translate(
            'The volumes do not lie on one grid, so they cannot be shown together.'
          )
        );
      }
    }
    const names = namesOf(content, translate);
    const [k, j, i] = before.info.shape;
    this._store = new ViewerStore({
      position: [k >> 1, j >> 1, i >> 1],
      window: before.info.window && {
        low: before.info.window[0],
        high: before.info.window[1]
      },
      colorMap: before.info.modality === 'PT' ? 'hot' : 'gray',
      inverted: before.info.inverted,
      shown: 'all',
      views: { axial: WHOLE, coronal: WHOLE, sagittal: WHOLE },
      tool: 'crosshair',
      hasCrosshair: true,
      comparison: after ? 'side' : 'before',
      swipe: 0.5,
      labelOpacity: 0.4,
      hiddenLabels: new Set(),
      cine: null
    });
    const load = (source: SliceSource) =>
      new SliceLoader(source, () => this._onArrival());
    this._before = load(before);
    const shown: PaneContent = {
      before: this._before,
      after: after ? load(after) : null,
      labels: labels ? load(labels) : null,
      names,
      shader: new Shader(),
      differenceShader: new Shader(),
      colors: () => this._shades.colors(this._store.state),
      differenceColors: this._shades.differenceColors,
      differenceWindow: () => this._shades.differenceWindow(this._store.state),
      onLabels: found => this._legend?.add(found),
      translate
    };
    this._loaders = [shown.before, shown.after, shown.labels].filter(
      loader => loader !== null
    );
    this._status = new StatusLine(before.info);
    this._legend = labels
      ? new LabelLegend(this._store, content.labelNames ?? {}, translate)
      : null;
    this._grid = new PaneGrid(shown, pane => {
      new PaneInput(pane, this._store, before.info.shape, voxel => {
        this._status.hover(pane, voxel);
        this._showStatus();
      });
    });
    this._cine = new Cine(
      this._store,
      before.info.shape,
      () => this._grid.panes
    );
    this._build(translate, names, after !== undefined);
    this._store.listen((state, previous) => this._onState(state, previous));
    this._grid.arrange(this._store.state);
    this._fetch(this._store.state);
    this._resized.observe(this._grid.node);
  }

  /** The state, for who links viewers or measures them. */
  get store(): ViewerStore {
    return this._store;
  }

  /** What is shown, as a canvas of its own; null before anything is. */
  picture(): HTMLCanvasElement | null {
    const { node, panes } = this._grid;
    return this._isCurrent ? pictureOf(node, panes) : null;
  }

  dispose(): void {
    this._isDisposed = true;
    this._resized.disconnect();
    this._cine.dispose();
    this._schedule.dispose();
    this._again.dispose();
    for (const loader of this._loaders) {
      loader.dispose();
    }
    this.node.remove();
  }

  private _build(
    translate: Translate,
    names: readonly [string, string],
    hasTwo: boolean
  ): void {
    const { info } = this._before.source;
    this.node.className = 'dlp-Viewer';
    this.node.setAttribute('role', 'group');
    this.node.setAttribute('aria-label', translate('Slice viewer'));
    // keys that are pressed here are ours, not shortcuts of JupyterLab
    this.node.dataset.lmSuppressShortcuts = 'true';
    const controls = new Controls(this._store, {
      translate,
      presets: presetsFor(info.modality, info.unit),
      automatic: () => this._automatic(),
      hasTwo,
      names,
      savePicture: () => {
        const picture = this.picture();
        if (picture) {
          savePicture(picture);
        }
      }
    });
    this.node.append(controls.node, this._grid.node);
    if (this._legend) {
      this.node.append(this._legend.node);
    }
    this.node.append(this._status.node);
  }

  private _onState(state: ViewerState, previous: ViewerState): void {
    if (
      state.shown !== previous.shown ||
      state.comparison !== previous.comparison
    ) {
      this._grid.arrange(state);
    }
    this._fetchSoon();
    if (state.position === previous.position) {
      this._schedule.soon();
    }
  }

  /** Ask for what is to be shown when the event is over, for it may bring several changes. */
  private _fetchSoon(): void {
    if (!this._isFetchDue) {
      this._isFetchDue = true;
      queueMicrotask(() => {
        this._isFetchDue = false;
        this._fetch(this._store.state);
      });
    }
  }

  private _fetch(state: ViewerState): void {
    if (this._isDisposed) {
      return;
    }
    for (const axis of this._axes) {
      for (const loader of this._loaders) {
        loader.want(axis, state.position[axis]);
      }
    }
    this._paintWhenThere();
  }

  private _onArrival(): void {
    if (this._store.state.window === null) {
      const window = this._automatic();
      if (window) {
        this._store.set({ window });
      }
    }
    this._showError();
    this._paintWhenThere();
  }

  /** Paint at once what is there as a whole, or failed; else give the rest of it a moment. */
  private _paintWhenThere(): void {
    const { position } = this._store.state;
    const isThere = this._axes.every(axis =>
      this._loaders.every(loader => loader.has(axis, position[axis]))
    );
    if (isThere || this.node.dataset.error) {
      this._schedule.soon();
    } else {
      this._schedule.later();
    }
  }

  private _automatic(): Window | null {
    const { position } = this._store.state;
    for (const axis of AXES) {
      const plane = this._before.get(axis, position[axis]);
      if (plane) {
        return automaticWindow(plane, this._before.source.info.modality);
      }
    }
    return null;
  }

  private _paint(): void {
    const { state } = this._store;
    this._grid.panes.forEach(pane => pane.paint(state));
    this._showStatus();
    this.node.dataset.ready = String(this._isCurrent);
    if (this._isCurrent) {
      this._loaders.forEach(loader => loader.prefetch());
    }
  }

  private get _isCurrent(): boolean {
    return this._grid.isCurrent(this._store.state);
  }

  /** Those along which planes are shown. */
  private get _axes(): Axis[] {
    const axes = new Set(this._grid.panes.map(({ layout }) => layout.axis));
    return AXES.filter(axis => axes.has(axis));
  }

  private _showStatus(): void {
    const { state } = this._store;
    const window = this._shades.windowText(state);
    this._status.show(this._grid.panes[0], state.position, window);
  }

  private _showError(): void {
    const error =
      this._loaders.map(loader => loader.error).find(text => text !== null) ??
      '';
    this.node.dataset.error = error;
    this._status.tell(error);
    if (error) {
      this._again.failed();
    } else {
      this._again.succeeded();
    }
  }

  private readonly _store: ViewerStore;
  private readonly _before: SliceLoader;
  private readonly _loaders: readonly SliceLoader[];
  private readonly _legend: LabelLegend | null;
  private readonly _cine: Cine;
  private readonly _grid: PaneGrid;
  private readonly _status: StatusLine;
  private readonly _shades = new Shades();
  private readonly _schedule = new PaintSchedule(() => this._paint());
  private readonly _again = new Again(() => this._fetch(this._store.state));
  private readonly _resized = new ResizeObserver(() => {
    this._grid.setColumns(this._store.state);
    this._schedule.soon();
  });
  private _isFetchDue = false;
  private _isDisposed = false;
}

/** What the two volumes are called; of one that is not shown as it is, that is said. */
function namesOf(
  { names, after }: ViewerContent,
  translate: Translate
): readonly [string, string] {
  const [first, second] = names ?? [translate('before'), translate('after')];
  return [
    first,
    after?.info.resampled ? translate('%1, resampled', second) : second
  ];
}
