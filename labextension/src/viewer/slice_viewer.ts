import { Axis, AXES, sameGrid } from './affine';
import { bestColumns, SizeMm } from './arrangement';
import { Cine } from './cine';
import { Controls } from './controls';
import { LabelLegend } from './label_legend';
import { planeLayouts } from './orientation';
import { WHOLE } from './plane_layout';
import { PaneInput } from './pane_input';
import { PaneContent, PaneRole, PlanePane } from './plane_pane';
import { Shader } from './raster';
import { pictureOf, savePicture } from './saved_picture';
import { Shades } from './shades';
import { SliceLoader } from './slice_loader';
import { SliceSource } from './slice_source';
import { StatusLine } from './status_line';
import { Translate } from './translate';
import { Comparison, ViewerState, ViewerStore } from './viewer_state';
import { automaticWindow, presetsFor, Window } from './windowing';

/** What a viewer shows. */
export interface ViewerContent {
  before: SliceSource;
  /** Another volume on the same grid, to compare with. */
  after?: SliceSource;
  /** Whole numbers on the same grid, drawn over it: 0 is clear. */
  labels?: SliceSource;
  labelNames?: Readonly<Record<string, string>>;
  /** What the two volumes are called. */
  names?: readonly [string, string];
}

const ROLES: Record<Comparison, readonly PaneRole[]> = {
  before: ['before'],
  after: ['after'],
  side: ['before', 'after'],
  swipe: ['swipe'],
  difference: ['difference']
};

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
    const names = content.names ?? [translate('before'), translate('after')];
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
    this._content = {
      before: load(before),
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
    this._status = new StatusLine(before.info);
    this._legend = labels
      ? new LabelLegend(this._store, content.labelNames ?? {}, translate)
      : null;
    this._cine = new Cine(this._store, before.info.shape, () => this._panes);
    this._build(translate, names, after !== undefined);
    this._store.listen((state, previous) => this._onState(state, previous));
    this._arrange(this._store.state);
    this._fetch(this._store.state);
    this._resized.observe(this._grid);
  }

  /** The state, for who links viewers or measures them. */
  get store(): ViewerStore {
    return this._store;
  }

  /** What is shown, as a canvas of its own; null before anything is. */
  picture(): HTMLCanvasElement | null {
    return this._isCurrent ? pictureOf(this._grid, this._panes) : null;
  }

  dispose(): void {
    this._isDisposed = true;
    this._resized.disconnect();
    this._cine.dispose();
    cancelAnimationFrame(this._frame);
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
    const { info } = this._content.before.source;
    this.node.className = 'dlp-Viewer';
    this.node.setAttribute('role', 'group');
    this.node.setAttribute('aria-label', translate('Slice viewer'));
    // keys that are pressed here are ours, not shortcuts of JupyterLab
    this.node.dataset.lmSuppressShortcuts = 'true';
    this._grid.className = 'dlp-Viewer-planes';
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
    this.node.append(controls.node, this._grid);
    if (this._legend) {
      this.node.append(this._legend.node);
    }
    this.node.append(this._status.node);
  }

  /** Make the panes that the state asks for. */
  private _arrange({ shown, comparison }: ViewerState): void {
    const { info } = this._content.before.source;
    const layouts = planeLayouts(info.affine_kji_to_lps).filter(
      ({ title }) => shown === 'all' || shown === title
    );
    const roles = ROLES[comparison];
    const focused = this._panes.find(
      ({ canvas }) => canvas === document.activeElement
    );
    this._panes = roles.flatMap(role =>
      layouts.map(layout => new PlanePane(layout, role, this._content))
    );
    for (const pane of this._panes) {
      new PaneInput(pane, this._store, info.shape, voxel => {
        this._status.hover(pane, voxel);
        this._showStatus();
      });
    }
    this._grid.replaceChildren(...this._panes.map(({ canvas }) => canvas));
    this._setColumns();
    this._panes
      .find(({ layout }) => layout.title === focused?.layout.title)
      ?.canvas.focus({ preventScroll: true });
  }

  /** As many panes beside each other as show the most; those of two volumes stay beside or below each other. */
  private _setColumns(): void {
    const { shape } = this._content.before.source.info;
    const { clientWidth: width, clientHeight: height } = this._grid;
    const { comparison, shown } = this._store.state;
    const sizes = this._panes.map(({ layout }): SizeMm => [
      shape[layout.columnAxis] * layout.widthMm,
      shape[layout.rowAxis] * layout.heightMm
    ]);
    const choices =
      comparison === 'side' ? (shown === 'all' ? [3] : [2, 1]) : [3, 2, 1];
    const columns = bestColumns(
      sizes,
      width,
      height,
      choices.filter(count => count <= sizes.length)
    );
    this._grid.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  }

  private _onState(state: ViewerState, previous: ViewerState): void {
    if (
      state.shown !== previous.shown ||
      state.comparison !== previous.comparison
    ) {
      this._arrange(state);
    }
    this._fetchSoon();
    this._paintSoon();
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
    const axes = new Set<Axis>(this._panes.map(({ layout }) => layout.axis));
    for (const axis of AXES.filter(one => axes.has(one))) {
      for (const loader of this._loaders) {
        loader.want(axis, state.position[axis]);
      }
    }
  }

  private _onArrival(): void {
    if (this._store.state.window === null) {
      const window = this._automatic();
      if (window) {
        this._store.set({ window });
      }
    }
    this._showError();
    this._paintSoon();
  }

  private _automatic(): Window | null {
    const { before } = this._content;
    const { position } = this._store.state;
    for (const axis of AXES) {
      const voxels = before.get(axis, position[axis]);
      if (voxels) {
        return automaticWindow(voxels, before.source.info.modality);
      }
    }
    return null;
  }

  private _paintSoon(): void {
    if (!this._frame) {
      this._frame = requestAnimationFrame(() => {
        this._frame = 0;
        this._panes.forEach(pane => pane.paint(this._store.state));
        this._showStatus();
        this.node.dataset.ready = String(this._isCurrent);
      });
    }
  }

  private get _isCurrent(): boolean {
    return this._panes.every(pane => pane.isCurrent(this._store.state));
  }

  private _showStatus(): void {
    const { state } = this._store;
    const window = this._shades.windowText(state);
    this._status.show(this._panes[0], state.position, window);
  }

  private _showError(): void {
    const error = this._loaders
      .map(loader => loader.error)
      .find(text => text !== null);
    this.node.dataset.error = error ?? '';
  }

  private get _loaders(): SliceLoader[] {
    const { before, after, labels } = this._content;
    return [before, after, labels].filter(loader => loader !== null);
  }

  private readonly _store: ViewerStore;
  private readonly _content: PaneContent;
  private readonly _legend: LabelLegend | null;
  private readonly _cine: Cine;
  private readonly _grid = document.createElement('div');
  private readonly _status: StatusLine;
  private readonly _shades = new Shades();
  private readonly _resized = new ResizeObserver(() => {
    this._setColumns();
    this._paintSoon();
  });
  private _panes: PlanePane[] = [];
  private _frame = 0;
  private _isFetchDue = false;
  private _isDisposed = false;
}
