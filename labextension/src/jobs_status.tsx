import { GroupItem, TextItem } from '@jupyterlab/statusbar';
import { TranslationBundle } from '@jupyterlab/translation';
import { VDomRenderer } from '@jupyterlab/ui-components';
import React from 'react';
import { dlpIcon } from './icon';
import { JobsModel } from './jobs_model';

/** The item of the status bar: how many jobs run and wait. */
export class JobsStatus extends VDomRenderer<JobsModel> {
  constructor(
    model: JobsModel,
    private readonly _showJobs: () => void,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    this.addClass('dlp-JobsStatus');
  }

  protected render(): JSX.Element {
    const trans = this._trans;
    const { running, queued } = this.model.open;
    const counts = [
      trans._n('%1 running', '%1 running', running),
      ...(queued > 0 ? [trans._n('%1 waiting', '%1 waiting', queued)] : [])
    ].join(', ');
    return (
      <button
        className="dlp-JobsStatus-button"
        title={trans.__('DLP Lab jobs: %1. Click to show them.', counts)}
        onClick={this._showJobs}
      >
        <GroupItem spacing={4}>
          <dlpIcon.react tag="span" className="dlp-JobsStatus-icon" />
          <TextItem source={counts} />
        </GroupItem>
      </button>
    );
  }
}
