import { TranslationBundle } from '@jupyterlab/translation';
import { folderIcon } from '@jupyterlab/ui-components';
import React, { useEffect, useState } from 'react';
import { elapsed } from './elapsed';
import { Job, TaskInfo } from './generated/types';
import { changedParams } from './params_schema';

export interface JobRowProps {
  job: Job;
  /** Undefined where the server knows it no more. */
  task: TaskInfo | undefined;
  /** Folder of the logs, relative to the server's root. */
  logsDir: string;
  trans: TranslationBundle;
  onCancel: (uid: string) => void;
  onRetry: (uid: string) => void;
  onShowResult: (outputDir: string) => void;
}

/** One job: what it is, where it stands, what can be done with it. */
export function JobRow(props: JobRowProps): JSX.Element {
  const { job, task, trans } = props;
  const isOpen = job.state === 'queued' || job.state === 'running';
  const now = useNow(job.state === 'running');
  const outputDir = job.output_dir;
  const params =
    changedParams(job.params, task?.params_schema).join(' · ') ||
    trans.__('Default parameters');
  return (
    <li className="dlp-Job" data-uid={job.uid} data-state={job.state}>
      <div className="dlp-Job-line">
        <span className="dlp-Job-title">{task?.title ?? job.task}</span>
        <span className="dlp-Job-state" aria-live="polite">
          {stateText(job.state, trans)}
        </span>
      </div>
      <div className="dlp-Job-folder" title={job.input_dir}>
        <folderIcon.react tag="span" className="dlp-Job-folderIcon" />
        <bdi>
          {job.input_dir === '.' ? trans.__('the top folder') : job.input_dir}
        </bdi>
      </div>
      <div className="dlp-Job-params" title={params}>
        {params}
      </div>
      {job.state === 'running' && <Progress job={job} trans={trans} />}
      {job.state === 'failed' && (
        <>
          <p className="dlp-Job-failure">{job.message}</p>
          <p className="dlp-Job-log">
            {trans.__('Log: %1', `${props.logsDir}/${job.uid}.log`)}
          </p>
        </>
      )}
      <Warnings warnings={job.warnings} trans={trans} />
      <div className="dlp-Job-line">
        <span className="dlp-Job-elapsed">{elapsed(job, now)}</span>
        {isOpen && (
          <button
            className="dlp-Job-action"
            onClick={() => props.onCancel(job.uid)}
          >
            {trans.__('Cancel')}
          </button>
        )}
        {(job.state === 'failed' || job.state === 'cancelled') && (
          <button
            className="dlp-Job-action"
            onClick={() => props.onRetry(job.uid)}
          >
            {trans.__('Try again')}
          </button>
        )}
        {job.state === 'succeeded' && outputDir !== null && (
          <button
            className="dlp-Job-action"
            title={outputDir}
            onClick={() => props.onShowResult(outputDir)}
          >
            {trans.__('Show result')}
          </button>
        )}
      </div>
    </li>
  );
}

function Progress(props: { job: Job; trans: TranslationBundle }): JSX.Element {
  const { job, trans } = props;
  const percent = Math.round(100 * Math.min(1, Math.max(0, job.progress)));
  return (
    <>
      <div
        className="dlp-Job-progress"
        role="progressbar"
        aria-label={trans.__('Progress')}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
      >
        <div style={{ width: `${percent}%` }} />
      </div>
      <div className="dlp-Job-line dlp-Job-step">
        <span>{job.message}</span>
        <span>{percent} %</span>
      </div>
    </>
  );
}

function Warnings(props: {
  warnings: readonly string[];
  trans: TranslationBundle;
}): JSX.Element | null {
  const { warnings, trans } = props;
  if (warnings.length === 0) {
    return null;
  }
  return (
    <details className="dlp-Job-warnings">
      <summary>
        {trans._n('%1 warning', '%1 warnings', warnings.length)}
      </summary>
      <ul>
        {warnings.map((warning, index) => (
          <li key={index}>{warning}</li>
        ))}
      </ul>
    </details>
  );
}

function stateText(state: Job['state'], trans: TranslationBundle): string {
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

/** The time in ms, anew every second while it is needed. */
function useNow(isNeeded: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!isNeeded) {
      return;
    }
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isNeeded]);
  return now;
}
