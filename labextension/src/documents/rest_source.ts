import { Api, Refused } from '../api';
import { HeaderElement, OpenVolume, VolumeReply } from '../generated/types';
import { Axis } from '../viewer/affine';
import { JoinedPlanes, separated } from '../viewer/joined_planes';
import { Plane, planeOf } from '../viewer/plane';
import { SliceSource } from '../viewer/slice_source';

/** Planes from the server. A volume that the server closed meanwhile, or that was another server's, is opened again. */
export class RestSource implements SliceSource {
  /**
   * @param comparedWith - Along whose planes the volume is looked at; it must outlive this one.
   */
  static async open(
    api: Api,
    request: OpenVolume,
    comparedWith?: RestSource
  ): Promise<RestSource> {
    const ask = comparedWith
      ? () =>
          comparedWith._onOpenVolume(id =>
            api.openVolume({ ...request, compared_with: id })
          )
      : () => api.openVolume(request);
    return new RestSource(api, ask, await ask());
  }

  private constructor(
    private readonly _api: Api,
    private readonly _ask: () => Promise<VolumeReply>,
    reply: VolumeReply
  ) {
    this.info = reply.info;
    this._id = Promise.resolve(reply.id);
  }

  readonly info: VolumeReply['info'];

  async plane(axis: Axis, index: number, signal: AbortSignal): Promise<Plane> {
    const bytes = await this._joined.plane({ axis, index }, signal);
    return planeOf(bytes, this.info);
  }

  /** The DICOM header of a slice. */
  async header(slice: number): Promise<HeaderElement[]> {
    return this._onOpenVolume(id => this._api.header(id, slice));
  }

  dispose(): void {
    this._isDisposed = true;
    // a server that does not answer closes it in time by itself
    void this._id.then(id => this._api.closeVolume(id)).catch(() => undefined);
  }

  private async _onOpenVolume<T>(ask: (id: string) => Promise<T>): Promise<T> {
    const asked = this._id;
    try {
      return await ask(await asked);
    } catch (error) {
      const isGone =
        error instanceof Refused && error.code === 'NO_SUCH_VOLUME';
      if (!isGone || this._isDisposed) {
        throw error;
      }
      if (this._id === asked) {
        const again = (this._id = this._ask().then(({ id }) => id));
        again.catch(() => {
          this._id = asked; // whoever asks next has it opened
        });
      }
      return ask(await this._id);
    }
  }

  private _id: Promise<string>;
  private _isDisposed = false;
  private readonly _joined = new JoinedPlanes(async (places, signal) => {
    const bytes = await this._onOpenVolume(id =>
      this._api.planes(id, places, signal)
    );
    return separated(bytes, places, this.info);
  });
}
