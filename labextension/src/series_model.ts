import { VDomModel } from '@jupyterlab/ui-components';
import { Api } from './api';
import { SeriesList } from './generated/types';

/** The series of one folder, and their pictures. */
export class SeriesModel extends VDomModel {
  /**
   * @param _api - The server.
   * @param inputDir - The folder, relative to dlp-lab's root.
   */
  constructor(
    private readonly _api: Api,
    readonly inputDir: string
  ) {
    super();
  }

  /** What is in the folder; null before it was looked through. */
  get found(): SeriesList | null {
    return this._found;
  }

  /** Why it could not be looked through; null when it could. */
  get error(): string | null {
    return this._error;
  }

  get isLooking(): boolean {
    return this._isLooking;
  }

  dispose(): void {
    this._pictures.forEach(url => URL.revokeObjectURL(url));
    this._pictures.clear();
    super.dispose();
  }

  /** Look through the folder, or do so again. */
  async refresh(): Promise<void> {
    if (this._isLooking) {
      return;
    }
    this._isLooking = true;
    this.stateChanged.emit();
    try {
      this._found = await this._api.series(this.inputDir);
      this._error = null;
    } catch (error) {
      this._error = error instanceof Error ? error.message : String(error);
    }
    this._isLooking = false;
    if (!this.isDisposed) {
      this.stateChanged.emit();
    }
  }

  /**
   * Address of the picture of a series, which lives as long as the model.
   *
   * @throws An error whose message tells why there is none.
   */
  async picture(seriesInstanceUid: string): Promise<string> {
    const known = this._pictures.get(seriesInstanceUid);
    if (known !== undefined) {
      return known;
    }
    const png = await this._api.thumbnail(this.inputDir, seriesInstanceUid);
    if (this.isDisposed) {
      throw new Error('The folder is not looked at any more.');
    }
    const url = URL.createObjectURL(png);
    this._pictures.set(seriesInstanceUid, url);
    return url;
  }

  private _found: SeriesList | null = null;
  private _error: string | null = null;
  private _isLooking = false;
  private readonly _pictures = new Map<string, string>();
}
