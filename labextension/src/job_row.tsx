import { TranslationBundle } from '@jupyterlab/translation';
import { ellipsesIcon, folderIcon } from '@jupyterlab/ui-components';
import React, { memo, MouseEvent, useEffect, useState } from 'react';
import { ToldJob } from './api';
import { elapsed, timeLeft } from './elapsed';
import { Job, TaskInfo } from './generated/types';
import { changedParams } from './params_schema';
import { Warnings } from './warnings';

/** What a row is about, for who hears its buttons one by one. */
function spokenName(
  job: Job,
  task: TaskInfo | undefined,
  trans: TranslationBundle
): string {
  return trans.__('%1 of %2', task?.title ?? job.task, folderText(job, trans));
}

function folderText(job: Job, trans: TranslationBundle): string {
  return job.input_dir === '.' ? trans.__('the top folder') : job.input_dir;
}

/** What the buttons of a row do. */
export interface JobActions {
  cancel: (uid: string) => void;
  retry: (uid: string) => void;
  showLog: (uid: string) => void;
  /** Show the slices of source and result. */
  compare: (uid: string) => void;
  showResult: (uid: string) => void;
  /** Open the menu of what else can be done, at a place of the page. */
  openMenu: (uid: string, x: number, y: number) => void;
}

export interface JobRowProps {
  job: ToldJob;
  /** Undefined where the server knows it no more. */
  task: TaskInfo | undefined;
  trans: TranslationBundle;
  actions: JobActions;
}

/** One job: what it is, where it stands, what can be done with it. Rendered again only when its job is another. */
export const JobRow = memo(function JobRow(props: JobRowProps): JSX.Element {
  const { job, task, trans, actions } = props;
  const now = useNow(job.state === 'running');
  const params =
    changedParams(job.params, task?.params_schema).join(' · ') ||
    trans.__('Default parameters');
  const name = spokenName(job, task, trans);
  const openMenu = (event: MouseEvent<HTMLElement>) => {
    event.preventDefault();
    const button = event.currentTarget.getBoundingClientRect();
    // a click by the keyboard has no place of its own
    const isPointed = event.clientX !== 0 || event.clientY !== 0;
    actions.openMenu(
      job.uid,
      isPointed ? event.clientX : button.left,
      isPointed ? event.clientY : button.bottom
    );
  };
  return (
    <li
      className="dlp-Job"
      data-uid={job.uid}
      data-state={job.state}
      onContextMenu={openMenu}
    >
      <div className="dlp-Job-line">
        <span className="dlp-Job-title">{task?.title ?? job.task}</span>
        <span className="dlp-Job-state" aria-live="polite">
          {stateText(job.state, trans)}
        </span>
      </div>
      <div className="dlp-Job-folder" title={job.input_dir}>
        <folderIcon.react tag="span" className="dlp-Job-folderIcon" />
        <bdi>{folderText(job, trans)}</bdi>
      </div>
      <div className="dlp-Job-params" title={params}>
        {params}
      </div>
      {job.state === 'running' && (
        <Progress job={job} now={now} name={name} trans={trans} />
      )}
      {job.state === 'failed' && (
        <p className="dlp-Job-failure">{job.message}</p>
      )}
      <Warnings
        warnings={job.warnings}
        className="dlp-Job-warnings"
        trans={trans}
      />
      <div className="dlp-Job-line">
        <span className="dlp-Job-elapsed">
          {job.state === 'queued' ? waiting(job, trans) : elapsed(job, now)}
        </span>
        <span className="dlp-Job-actions">
          <MainAction job={job} name={name} trans={trans} actions={actions} />
          <button
            className="dlp-Job-menu"
            aria-haspopup="menu"
            aria-label={trans.__('More actions: %1', name)}
            title={trans.__('More actions')}
            onClick={openMenu}
          >
            <ellipsesIcon.react tag="span" />
          </button>
        </span>
      </div>
    </li>
  );
});

/** What is wanted most of a job in its state. */
function MainAction(props: {
  job: Job;
  name: string;
  trans: TranslationBundle;
  actions: JobActions;
}): JSX.Element | null {
  const { job, name, trans, actions } = props;
  const button = (label: string, act: (uid: string) => void) => (
    <button
      className="dlp-Job-action"
      // begins with what is seen, for who says it to press the button
      aria-label={`${label}: ${name}`}
      onClick={() => act(job.uid)}
    >
      {label}
    </button>
  );
  switch (job.state) {
    case 'queued':
    case 'running':
      return button(trans.__('Cancel'), actions.cancel);
    case 'failed':
      return (
        <>
          {button(trans.__('Log'), actions.showLog)}
          {button(trans.__('Try again'), actions.retry)}
        </>
      );
    case 'cancelled':
      return button(trans.__('Try again'), actions.retry);
    case 'succeeded':
      return job.output_dir === null ? null : (
        <>
          {button(trans.__('Compare'), actions.compare)}
          {button(trans.__('Show result'), actions.showResult)}
        </>
      );
  }
}

function Progress(props: {
  job: ToldJob;
  now: number;
  name: string;
  trans: TranslationBundle;
}): JSX.Element {
  const { job, now, name, trans } = props;
  const percent = Math.round(100 * Math.min(1, Math.max(0, job.progress)));
  const left = timeLeft(job, now);
  return (
    <>
      <div
        className="dlp-Job-progress"
        role="progressbar"
        aria-label={trans.__('Progress: %1', name)}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
      >
        <div style={{ width: `${percent}%` }} />
      </div>
      <div className="dlp-Job-line dlp-Job-step">
        <span>{job.message}</span>
        <span>
          {left === null
            ? `${percent} %`
            : trans.__('%1 %, about %2 left', percent, left)}
        </span>
      </div>
    </>
  );
}

/** Its place in the queue, and what it waits for when that is more than its turn. */
function waiting(job: Job, trans: TranslationBundle): string {
  const place =
    job.position === null
      ? ''
      : job.position === 1
        ? trans.__('next to start')
        : trans.__('number %1 in the queue', job.position);
  return [place, job.message === 'waiting' ? '' : job.message]
    .filter(text => text !== '')
    .join(' · ');
}

/** The state as the panel calls it. */
export function stateText(
  state: Job['state'],
  trans: TranslationBundle
): string {
  switch (state) {
    case 'queued':
      return trans.__('Queued');
    case 'running':
      return trans.__('Running');
    case 'succeeded':
      return trans.__('Succeeded');
    case 'failed':
      return trans.__('Failed');
    case 'cancelled':
      return trans.__('Cancelled');
  }
}

/** The time in ms by the clock of `toldAt`, anew every second while it is needed. */
function useNow(isNeeded: boolean): number {
  const [now, setNow] = useState(performance.now());
  useEffect(() => {
    if (!isNeeded) {
      return;
    }
    setNow(performance.now());
    const timer = setInterval(() => setNow(performance.now()), 1000);
    return () => clearInterval(timer);
  }, [isNeeded]);
  return now;
}
