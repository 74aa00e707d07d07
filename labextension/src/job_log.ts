import { TranslationBundle } from '@jupyterlab/translation';
import { Poll } from '@lumino/polling';
import { Widget } from '@lumino/widgets';
import { Job } from './generated/types';
import { dlpIcon } from './icon';
import { JobsModel } from './jobs_model';

const INTERVAL_MS = 1000;
/** Colours and the like, which a task prints for a terminal. */
// eslint-disable-next-line no-control-regex -- the escape character is what is looked for
const ESCAPE_SEQUENCES = /\u001b\[[0-9;?]*[ -/]*[@-~]/g;

/** What a job printed; goes on until the job has ended. */
export class JobLog extends Widget {
  constructor(
    private readonly _model: JobsModel,
    job: Job,
    title: string,
    private readonly _trans: TranslationBundle
  ) {
    super({ node: document.createElement('pre') });
    this._uid = job.uid;
    this.id = `dlp-lab-log-${job.uid}`;
    this.title.label = title;
    this.title.icon = dlpIcon;
    this.title.caption = job.input_dir;
    this.title.closable = true;
    this.addClass('dlp-JobLog');
    this.node.tabIndex = 0;
    this.node.setAttribute('role', 'log');
    this.node.setAttribute('aria-label', title);
    this._poll = new Poll({
      factory: () => this._read(),
      frequency: { interval: INTERVAL_MS, backoff: true, max: 10_000 },
      name: 'dlp-lab:job-log'
    });
  }

  dispose(): void {
    this._poll.dispose();
    super.dispose();
  }

  /** All there is now. The job is asked first: when it has ended, its log is all there. */
  private async _read(): Promise<void> {
    const job = await this._model.fetch(this._uid);
    for (;;) {
      const { text, next_offset } = await this._model.log(
        this._uid,
        this._offset
      );
      if (this.isDisposed || next_offset === this._offset) {
        break;
      }
      this._append(text);
      this._offset = next_offset;
    }
    if (this.isDisposed) {
      return;
    }
    if (job.ended_at !== null) {
      if (this._offset === 0) {
        this.node.textContent = this._trans.__('The job printed nothing.');
      }
      void this._poll.stop();
    }
  }

  private _append(text: string): void {
    const { node } = this;
    const isAtEnd = node.scrollTop + node.clientHeight >= node.scrollHeight - 4;
    node.append(text.replace(ESCAPE_SEQUENCES, ''));
    if (isAtEnd) {
      node.scrollTop = node.scrollHeight;
    }
  }

  private readonly _uid: string;
  private readonly _poll: Poll;
  private _offset = 0;
}
