import { VolumeInfo } from '../generated/types';
import { Axis } from '../viewer/affine';
import { JoinedPlanes, PlanePlace } from '../viewer/joined_planes';
import { Plane, planeOf } from '../viewer/plane';
import { SliceSource } from '../viewer/slice_source';

/** Which of a widget's volumes. */
export type VolumeRole = 'before' | 'after' | 'labels';

/** What of anywidget's model is used. */
export interface WidgetModel {
  get(name: string): unknown;
  send(content: unknown): void;
  on(event: 'msg:custom', callback: MessageCallback): void;
  off(event: 'msg:custom', callback: MessageCallback): void;
}

export type MessageCallback = (
  content: Reply,
  buffers: readonly DataView[]
) => void;

/** What the kernel answers. */
interface Reply {
  type: 'planes' | 'refused';
  id: number;
  message?: string;
}

interface Waiting {
  resolve: (planes: ArrayBuffer[]) => void;
  reject: (error: Error) => void;
}

/** Asks a kernel for planes by messages, which are never saved with the notebook. */
export class PlaneMessages {
  constructor(private readonly _model: WidgetModel) {
    _model.on('msg:custom', this._onMessage);
  }

  ask(
    volume: VolumeRole,
    places: readonly PlanePlace[],
    signal: AbortSignal
  ): Promise<ArrayBuffer[]> {
    const id = this._next++;
    return new Promise((resolve, reject) => {
      const abort = () => {
        this._waiting.delete(id);
        reject(new Error('cancelled'));
      };
      signal.addEventListener('abort', abort, { once: true });
      this._waiting.set(id, { resolve, reject });
      const at = places.map(({ axis, index }) => [axis, index]);
      this._model.send({ type: 'planes', id, volume, at });
    });
  }

  dispose(): void {
    this._model.off('msg:custom', this._onMessage);
  }

  private readonly _onMessage: MessageCallback = (reply, buffers) => {
    const waiting = this._waiting.get(reply.id);
    if (!waiting) {
      return;
    }
    this._waiting.delete(reply.id);
    if (reply.type === 'refused') {
      waiting.reject(new Error(reply.message));
      return;
    }
    waiting.resolve(
      buffers.map(({ buffer, byteOffset, byteLength }) =>
        // a copy of its own, for numbers must begin where their size divides
        (buffer as ArrayBuffer).slice(byteOffset, byteOffset + byteLength)
      )
    );
  };

  private readonly _waiting = new Map<number, Waiting>();
  private _next = 1;
}

/** One of a widget's volumes. */
export class MessageSource implements SliceSource {
  constructor(
    readonly info: VolumeInfo,
    private readonly _messages: PlaneMessages,
    private readonly _volume: VolumeRole
  ) {}

  async plane(axis: Axis, index: number, signal: AbortSignal): Promise<Plane> {
    const bytes = await this._joined.plane({ axis, index }, signal);
    return planeOf(bytes, this.info);
  }

  dispose(): void {
    // the messages belong to the view
  }
  private readonly _joined = new JoinedPlanes((places, signal) =>
    this._messages.ask(this._volume, places, signal)
  );
}
