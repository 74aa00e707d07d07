import { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import React, { ReactNode } from 'react';
import { countStates, JobGroup } from './job_groups';
import { stateText } from './job_row';

/** A group of jobs: how far it is, and, when it is open, its jobs. */
export function GroupRow(props: {
  group: JobGroup;
  isOpen: boolean;
  trans: TranslationBundle;
  onToggle: (name: string) => void;
  children: ReactNode;
}): JSX.Element {
  const { group, isOpen, trans, onToggle, children } = props;
  const counts = countStates(group.jobs);
  const total = group.jobs.length;
  const ended = counts.succeeded + counts.failed + counts.cancelled;
  const others = (['running', 'queued', 'failed', 'cancelled'] as const)
    .filter(state => counts[state] > 0)
    .map(state => `${counts[state]} ${stateText(state, trans).toLowerCase()}`);
  const told = [trans.__('%1 of %2 jobs ended', ended, total), ...others];
  const Caret = isOpen ? caretDownIcon : caretRightIcon;
  return (
    <li className="dlp-Group" data-group={group.name}>
      <button
        className="dlp-Group-header"
        aria-expanded={isOpen}
        onClick={() => onToggle(group.name)}
      >
        <Caret.react tag="span" className="dlp-Group-caret" />
        <bdi className="dlp-Group-name" title={group.name}>
          {group.name}
        </bdi>
        <span className="dlp-Group-counts">{told.join(' · ')}</span>
        {ended < total && (
          <span className="dlp-Job-progress" aria-hidden={true}>
            <div style={{ width: `${Math.floor((100 * ended) / total)}%` }} />
          </span>
        )}
      </button>
      {isOpen && (
        <ul
          className="dlp-Panel-jobs"
          aria-label={trans.__('Jobs of %1', group.name)}
        >
          {children}
        </ul>
      )}
    </li>
  );
}
