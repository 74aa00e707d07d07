import { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import React from 'react';
import { ToldJob } from './api';
import { GroupRow } from './group_row';
import { dlpIcon } from './icon';
import { grouped, isGroup } from './job_groups';
import { JobActions, JobRow } from './job_row';
import { JobsFilter } from './jobs_filter';
import { JobsModel } from './jobs_model';

/** The side panel: all jobs, newest first. */
export class JobsPanel extends VDomRenderer<JobsModel> {
  constructor(
    model: JobsModel,
    private readonly _actions: JobActions,
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
    const { jobs, older, error, isLoaded, wanted } = this.model;
    const isFiltered = wanted.states.length > 0 || wanted.about !== '';
    const isEmpty = isLoaded && jobs.length === 0;
    return (
      <>
        <h2 className="dlp-Panel-header">{trans.__('DLP Lab')}</h2>
        {error !== null && (
          <p className="dlp-Panel-error" role="alert">
            {error}
          </p>
        )}
        {(isFiltered || jobs.length > 0) && (
          <JobsFilter
            states={wanted.states}
            about={wanted.about}
            trans={trans}
            onStates={states => {
              this.model.wanted = { ...wanted, states };
            }}
            onAbout={about => {
              this.model.wanted = { ...wanted, about };
            }}
          />
        )}
        {isEmpty && !isFiltered && <NoJobs trans={trans} />}
        {jobs.length > 0 && this._list()}
        {isEmpty && isFiltered && (
          <p className="dlp-Panel-note">{trans.__('No such job.')}</p>
        )}
        {older > 0 && (
          <p className="dlp-Panel-note">
            {trans._n('%1 older job.', '%1 older jobs.', older)}{' '}
            <button
              className="dlp-Job-action"
              onClick={() => void this.model.loadOlder()}
            >
              {trans.__('Show more')}
            </button>
          </p>
        )}
      </>
    );
  }

  private _list(): JSX.Element {
    const trans = this._trans;
    return (
      <ul className="dlp-Panel-jobs" aria-label={trans.__('Jobs')}>
        {grouped(this.model.jobs).map(item =>
          isGroup(item) ? (
            <GroupRow
              key={`group ${item.name}`}
              counts={this.model.groupCounts(item.name)}
              listed={item.jobs.length}
              isOpen={this._openGroups.has(item.name)}
              trans={trans}
              onToggle={this._toggle}
            >
              {item.jobs.map(job => this._row(job))}
            </GroupRow>
          ) : (
            this._row(item)
          )
        )}
      </ul>
    );
  }

  private _row(job: ToldJob): JSX.Element {
    return (
      <JobRow
        key={job.uid}
        job={job}
        task={this.model.task(job.task)}
        trans={this._trans}
        actions={this._actions}
      />
    );
  }

  private readonly _toggle = (group: string): void => {
    if (!this._openGroups.delete(group)) {
      this._openGroups.add(group);
    }
    this.update();
  };

  private readonly _openGroups = new Set<string>();
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
