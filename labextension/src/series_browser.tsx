import { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon, VDomRenderer } from '@jupyterlab/ui-components';
import React from 'react';
import { LeftOutFile, SeriesList, SeriesSummary } from './generated/types';
import { dlpIcon } from './icon';
import { SeriesCard } from './series_card';
import { SeriesModel } from './series_model';
import { USABLE } from './series_text';

/** What is in a folder: its series with their pictures and verdicts, and the files that belong to none. */
export class SeriesBrowser extends VDomRenderer<SeriesModel> {
  /**
   * @param model - The folder; it is disposed with the browser.
   * @param _show - Shows the slices of a series.
   * @param _chooseTask - Opens the menu of tasks for a series, at a place of the page.
   */
  constructor(
    model: SeriesModel,
    private readonly _show: (found: SeriesList, series: SeriesSummary) => void,
    private readonly _chooseTask: (
      found: SeriesList,
      series: SeriesSummary,
      x: number,
      y: number
    ) => void,
    private readonly _trans: TranslationBundle
  ) {
    super(model);
    const { inputDir } = model;
    this.id = `dlp-lab-series-${inputDir}`;
    this.addClass('dlp-SeriesBrowser');
    this.title.icon = dlpIcon;
    this.title.label =
      inputDir === '.' ? _trans.__('Series') : inputDir.split('/').pop()!;
    this.title.caption = _trans.__('DICOM series in %1', inputDir);
    this.title.closable = true;
    void model.refresh();
  }

  dispose(): void {
    const model = this.model as SeriesModel | null;
    super.dispose();
    model?.dispose();
  }

  protected render(): JSX.Element {
    const trans = this._trans;
    const { found, error, isLooking, inputDir } = this.model;
    return (
      <>
        <header className="dlp-SeriesBrowser-header">
          <h2>
            <bdi>
              {inputDir === '.' ? trans.__('the top folder') : inputDir}
            </bdi>
          </h2>
          <span role="status">
            {isLooking
              ? trans.__('Looking through the folder…')
              : found !== null &&
                trans._n('%1 series', '%1 series', found.series.length)}
          </span>
          <button
            className="jp-Button jp-mod-minimal"
            title={trans.__('Look again')}
            aria-label={trans.__('Look again')}
            onClick={() => void this.model.refresh()}
          >
            <refreshIcon.react tag="span" />
          </button>
        </header>
        {error !== null && (
          <p className="dlp-SeriesBrowser-error" role="alert">
            {error}
          </p>
        )}
        {found !== null && this._found(found)}
      </>
    );
  }

  private _found(found: SeriesList): JSX.Element {
    const trans = this._trans;
    return (
      <>
        {found.series.length === 0 && (
          <p className="dlp-SeriesBrowser-note">
            {trans.__('There is no DICOM series in this folder.')}
          </p>
        )}
        <ul
          className="dlp-SeriesBrowser-series"
          aria-label={trans.__('Series')}
        >
          {inOrder(found.series).map(series => (
            <SeriesCard
              key={series.series_instance_uid}
              series={series}
              trans={trans}
              picture={this._picture}
              show={chosen => this._show(found, chosen)}
              chooseTask={(chosen, x, y) =>
                this._chooseTask(found, chosen, x, y)
              }
            />
          ))}
        </ul>
        <LeftOut found={found} trans={trans} />
      </>
    );
  }

  private readonly _picture = (uid: string) => this.model.picture(uid);
}

/** Those that can be processed first, and of them the largest. */
function inOrder(series: readonly SeriesSummary[]): SeriesSummary[] {
  const rank = (one: SeriesSummary) =>
    one.verdict === USABLE ? one.file_bytes : -1;
  return [...series].sort((one, other) => rank(other) - rank(one));
}

/** The files that belong to no series, and why. */
function LeftOut(props: {
  found: SeriesList;
  trans: TranslationBundle;
}): JSX.Element {
  const { found, trans } = props;
  const ignored = Object.entries(found.ignored);
  return (
    <>
      {found.refused_files > 0 && (
        <details className="dlp-SeriesBrowser-refused" open>
          <summary>
            {trans._n(
              '%1 file cannot be understood; a series that it may belong to is refused.',
              '%1 files cannot be understood; series that they may belong to are refused.',
              found.refused_files
            )}
          </summary>
          <ul>
            {found.refused.map(({ file, reason }: LeftOutFile) => (
              <li key={file}>
                <bdi>{file}</bdi>: {reason}
              </li>
            ))}
          </ul>
        </details>
      )}
      {ignored.length > 0 && (
        <details className="dlp-SeriesBrowser-note">
          <summary>{trans.__('Files that are no images')}</summary>
          <ul>
            {ignored.map(([reason, count]) => (
              <li key={reason}>
                {String(count)} × {reason}
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}
