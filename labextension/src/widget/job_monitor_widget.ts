/** The queue as a live table, as an anywidget. */

import { elapsed, timeLeft } from '../elapsed';
import { Job } from '../generated/types';
import { changedParams } from '../params_schema';
import { untranslated } from '../viewer/translate';
import { element } from './element';
import { MessageView, renderer } from './message_view';

/** What the kernel tells. */
export type MonitorTold =
  | { type: 'jobs'; jobs: Job[]; older: number }
  | { type: 'refused'; message: string };

const HEADER = ['Task', 'Folder', 'State', 'Progress', 'Time', ''];

/** A row for each job, with what can be done with it. */
export class JobMonitorView implements MessageView<MonitorTold> {
  constructor(private readonly _send: (content: unknown) => void) {
    const head = element('thead', '', '', [
      element(
        'tr',
        '',
        '',
        HEADER.map(text => element('th', '', text))
      )
    ]);
    const table = element('table', 'dlp-JobMonitor-table', '', [
      head,
      this._body
    ]);
    this._note.setAttribute('role', 'status');
    this.node.append(table, this._note);
    this._timer = window.setInterval(() => this._showTimes(), 1000);
  }

  hear(told: MonitorTold): void {
    if (told.type === 'refused') {
      this._note.textContent = told.message;
      return;
    }
    const toldAt = performance.now();
    this._times = [];
    this._body.replaceChildren(...told.jobs.map(job => this._row(job, toldAt)));
    this._note.textContent =
      told.jobs.length === 0
        ? untranslated('No jobs yet.')
        : told.older > 0
          ? untranslated('and %1 older ones', String(told.older))
          : '';
    this._showTimes();
  }

  dispose(): void {
    window.clearInterval(this._timer);
    this.node.remove();
  }

  private _row(job: Job, toldAt: number): HTMLElement {
    const bar = element('progress', '');
    bar.max = 1;
    bar.value = job.progress;
    bar.setAttribute('aria-label', untranslated('progress'));
    const params = changedParams(job.params, undefined).join(', ');
    const task = element('td', '', job.task, [
      element('div', 'dlp-JobMonitor-params', params)
    ]);
    const step =
      job.state === 'queued' && job.position !== null
        ? `number ${job.position} in the queue`
        : job.message;
    const time = element('td', 'dlp-JobMonitor-time');
    this._times.push({ job: { ...job, toldAt }, cell: time });
    const folder = element('td', '', '', [
      element(
        'bdi',
        '',
        job.input_dir === '.' ? 'the top folder' : job.input_dir
      )
    ]);
    const row = element('tr', '', '', [
      task,
      folder,
      element('td', 'dlp-JobMonitor-state', job.state),
      element('td', 'dlp-JobMonitor-progress', '', [
        ...(job.state === 'running' ? [bar] : []),
        element('span', '', step)
      ]),
      time,
      element('td', '', '', this._actions(job))
    ]);
    row.dataset.state = job.state;
    row.dataset.uid = job.uid;
    return row;
  }

  private _actions(job: Job): HTMLElement[] {
    switch (job.state) {
      case 'queued':
      case 'running':
        return [this._button('Cancel', 'cancel', job.uid)];
      case 'failed':
      case 'cancelled':
        return [this._button('Try again', 'retry', job.uid)];
      case 'succeeded':
        return [];
    }
  }

  private _button(label: string, type: string, uid: string): HTMLElement {
    const button = element('button', 'dlp-JobMonitor-action', label);
    button.type = 'button';
    button.addEventListener('click', () => {
      button.disabled = true;
      this._send({ type, uid });
    });
    return button;
  }

  private _showTimes(): void {
    const now = performance.now();
    for (const { job, cell } of this._times) {
      const left = timeLeft(job, now);
      cell.textContent = [elapsed(job, now), left && `${left} left`]
        .filter(Boolean)
        .join(', ');
    }
  }

  readonly node = element('div', 'dlp-JobMonitor');
  private readonly _body = element('tbody', '');
  private readonly _note = element('div', 'dlp-JobMonitor-note');
  private _times: { job: Job & { toldAt: number }; cell: HTMLElement }[] = [];
  private readonly _timer: number;
}

export default { render: renderer(send => new JobMonitorView(send)) };
