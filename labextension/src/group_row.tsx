import { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import React, { ReactNode } from 'react';
import { GroupCounts } from './generated/types';
import { stateText } from './job_row';

/** A group of jobs: how far all of it is, and, when it is open, those of its jobs that are listed. */
export function GroupRow(props: {
  counts: GroupCounts;
  /** How many of its jobs are listed. */
  listed: number;
  isOpen: boolean;
  trans: TranslationBundle;
  onToggle: (name: string) => void;
  children: ReactNode;
}): JSX.Element {
  const { counts, listed, isOpen, trans, onToggle, children } = props;
  const { group: name, queued, running, succeeded, failed, cancelled } = counts;
  const ended = succeeded + failed + cancelled;
  const total = ended + running + queued;
  const others = (['running', 'queued', 'failed', 'cancelled'] as const)
    .filter(state => counts[state] > 0)
    .map(state => `${counts[state]} ${stateText(state, trans).toLowerCase()}`);
  const told = [trans.__('%1 of %2 jobs ended', ended, total), ...others];
  const Caret = isOpen ? caretDownIcon : caretRightIcon;
  return (
    <li className="dlp-Group" data-group={name}>
      <button
        className="dlp-Group-header"
        aria-expanded={isOpen}
        onClick={() => onToggle(name)}
      >
        <Caret.react tag="span" className="dlp-Group-caret" />
        <bdi className="dlp-Group-name" title={name}>
          {name}
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
          className="dlp-Panel-jobs dlp-Group-jobs"
          aria-label={trans.__('Jobs of %1', name)}
        >
          {children}
          {listed < total && (
            <li className="dlp-Panel-note">
              {trans.__('%1 of its %2 jobs are listed.', listed, total)}
            </li>
          )}
        </ul>
      )}
    </li>
  );
}
