import { TranslationBundle } from '@jupyterlab/translation';
import { HTMLSelect } from '@jupyterlab/ui-components';
import React from 'react';
import { Job } from './generated/types';
import { stateText } from './job_row';

type State = Job['state'];

const STATES: readonly State[] = [
  'queued',
  'running',
  'succeeded',
  'failed',
  'cancelled'
];

/** Which jobs the panel shows. */
export function JobsFilter(props: {
  states: readonly State[];
  folder: string;
  trans: TranslationBundle;
  onStates: (states: readonly State[]) => void;
  onFolder: (folder: string) => void;
}): JSX.Element {
  const { states, folder, trans, onStates, onFolder } = props;
  const options = [
    { value: '', label: trans.__('All jobs') },
    { value: 'queued,running', label: trans.__('Not ended') },
    ...STATES.map(state => ({ value: state, label: stateText(state, trans) }))
  ];
  return (
    <div className="dlp-JobsFilter" role="search">
      <HTMLSelect
        aria-label={trans.__('State')}
        options={options}
        value={states.join(',')}
        onChange={event =>
          onStates(event.target.value.split(',').filter(Boolean) as State[])
        }
      />
      <input
        type="search"
        className="jp-mod-styled"
        aria-label={trans.__('Folder or task')}
        placeholder={trans.__('Folder or task')}
        value={folder}
        onChange={event => onFolder(event.target.value)}
      />
    </div>
  );
}

/** Whether a job's folder, task or group has all the words of `text`, in any case. */
export function isAbout(job: Job, title: string, text: string): boolean {
  const where =
    `${job.input_dir} ${job.task} ${title} ${job.group ?? ''}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every(word => where.includes(word));
}
