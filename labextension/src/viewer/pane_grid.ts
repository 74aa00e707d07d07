import { bestColumns, SizeMm } from './arrangement';
import { planeLayouts } from './orientation';
import { PaneContent, PlanePane } from './plane_pane';
import { PaneRole } from './plane_pictures';
import { Comparison, ViewerState } from './viewer_state';

const ROLES: Record<Comparison, readonly PaneRole[]> = {
  before: ['before'],
  after: ['after'],
  side: ['before', 'after'],
  swipe: ['swipe'],
  difference: ['difference']
};

/** The panes that a state asks for, beside and below each other. */
export class PaneGrid {
  readonly node = document.createElement('div');

  /**
   * @param content - What the panes show.
   * @param onPane - Called with each pane that is made.
   */
  constructor(
    private readonly _content: PaneContent,
    private readonly _onPane: (pane: PlanePane) => void
  ) {
    this.node.className = 'dlp-Viewer-planes';
  }

  get panes(): readonly PlanePane[] {
    return this._panes;
  }

  /** Whether all panes have painted what the state asks for. */
  isCurrent(state: ViewerState): boolean {
    return this._panes.every(pane => pane.isCurrent(state));
  }

  /** Make the panes anew; the keyboard stays on the plane where it was. */
  arrange(state: ViewerState): void {
    const { info } = this._content.before.source;
    const layouts = planeLayouts(info.affine_kji_to_lps).filter(
      ({ title }) => state.shown === 'all' || state.shown === title
    );
    const focused = this._panes.find(
      ({ canvas }) => canvas === document.activeElement
    );
    this._panes = ROLES[state.comparison].flatMap(role =>
      layouts.map(layout => new PlanePane(layout, role, this._content))
    );
    this._panes.forEach(this._onPane);
    this.node.replaceChildren(...this._panes.map(({ canvas }) => canvas));
    this.setColumns(state);
    this._panes
      .find(({ layout }) => layout.title === focused?.layout.title)
      ?.canvas.focus({ preventScroll: true });
  }

  /** As many panes beside each other as show the most; those of two volumes stay beside or below each other. */
  setColumns({ comparison, shown }: ViewerState): void {
    const { shape } = this._content.before.source.info;
    const { clientWidth: width, clientHeight: height } = this.node;
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
    this.node.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  }

  private _panes: readonly PlanePane[] = [];
}
