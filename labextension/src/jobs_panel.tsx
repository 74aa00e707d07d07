import { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import React from 'react';
import { dlpIcon } from './icon';
import { JobRow } from './job_row';
import { JobsModel } from './jobs_model';

/** What the panel's buttons do. */
export interface PanelActions {
  cancel: (uid: string) => void;
  retry: (uid: string) => void;
  showResult: (outputDir: string) => void;
}

/** The side panel: all jobs, newest first. */
export class JobsPanel extends VDomRenderer<JobsModel> {
  constructor(
    model: JobsModel,
    private readonly _actions: PanelActions,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.id = 'dlp-lab-panel';
    this.title.icon = dlpIcon;
    this.title.caption = _trans.__('DLP Lab');
    this.addClass('dlp-Panel');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', _trans.__('DLP Lab jobs'));
  }

  protected render(): JSX.Element {
    const trans = this._trans;
    const { jobs, older, error, isLoaded, health } = this.model;
    return (
      <>
        <h2 className="dlp-Panel-header">{trans.__('DLP Lab')}</h2>
        {error !== null && (
          <p className="dlp-Panel-error" role="alert">
            {error}
          </p>
        )}
        {isLoaded && jobs.length === 0 && <NoJobs trans={trans} />}
        {jobs.length > 0 && (
          <ul className="dlp-Panel-jobs" aria-label={trans.__('Jobs')}>
            {jobs.map(job => (
              <JobRow
                key={job.uid}
                job={job}
                task={this.model.task(job.task)}
                logsDir={health?.logs_dir ?? ''}
                trans={trans}
                onCancel={this._actions.cancel}
                onRetry={this._actions.retry}
                onShowResult={this._actions.showResult}
              />
            ))}
          </ul>
        )}
        {older > 0 && (
          <p className="dlp-Panel-older">
            {trans._n(
              '%1 older job is not listed.',
              '%1 older jobs are not listed.',
              older
            )}
          </p>
        )}
      </>
    );
  }
}

/** Tells how to start. */
function NoJobs(props: { trans: TranslationBundle }): JSX.Element {
  const { trans } = props;
  return (
    <div className="dlp-Panel-empty">
      <dlpIcon.react tag="div" className="dlp-Panel-emptyIcon" />
      <p className="dlp-Panel-emptyTitle">{trans.__('No jobs yet')}</p>
      <p>
        {trans.__(
          'Right-click a folder with DICOM files in the file browser and choose “Run … on this folder”. The job then shows here.'
        )}
      </p>
    </div>
  );
}
