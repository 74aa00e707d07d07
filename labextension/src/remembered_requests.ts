import { IStateDB } from '@jupyterlab/statedb';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { JobRequest } from './generated/types';

/** What of a request is the same for other folders. */
export type Remembered = Pick<
  JobRequest,
  'params' | 'keep_hdf5' | 'output_form'
>;

/** What was asked of each task last, kept in the user's workspace. */
export class RememberedRequests {
  /** @param _state - Null where Lab keeps no state: then nothing is remembered. */
  constructor(private readonly _state: IStateDB | null) {}

  isOn = true;

  /** What was asked of a task last; nothing when that is not known. */
  async of(task: string): Promise<Remembered> {
    if (!this.isOn) {
      return {};
    }
    const kept = await this._state?.fetch(key(task)).catch(() => undefined);
    return (kept ?? {}) as Remembered;
  }

  async remember(request: JobRequest): Promise<void> {
    const { params, keep_hdf5, output_form } = request;
    if (this.isOn) {
      const kept = { params, keep_hdf5, output_form };
      await this._state?.save(
        key(request.task),
        kept as ReadonlyPartialJSONObject
      );
    }
  }
}

function key(task: string): string {
  return `dlp-lab:requests:${task}`;
}
