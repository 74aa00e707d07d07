import { TranslationBundle } from '@jupyterlab/translation';
import React, { MouseEvent, useEffect, useRef, useState } from 'react';
import { SeriesSummary } from './generated/types';
import { sizeText, USABLE } from './series_text';
import { Warnings } from './warnings';

export interface SeriesCardProps {
  series: SeriesSummary;
  trans: TranslationBundle;
  /** Address of its picture; throws an error whose message tells why there is none. */
  picture: (seriesInstanceUid: string) => Promise<string>;
  /** Show its slices. */
  show: (series: SeriesSummary) => void;
  /** Open the menu of tasks at a place of the page. */
  chooseTask: (series: SeriesSummary, x: number, y: number) => void;
}

/** One series of a folder: its picture, what it is, whether it can be processed, and what to do with it. */
export function SeriesCard(props: SeriesCardProps): JSX.Element {
  const { series, trans, picture, show, chooseTask } = props;
  const isUsable = series.verdict === USABLE;
  const title = series.description || trans.__('(no description)');
  const choose = (event: MouseEvent<HTMLElement>) => {
    const { left, bottom } = event.currentTarget.getBoundingClientRect();
    chooseTask(series, left, bottom);
  };
  return (
    <li
      className="dlp-Series"
      data-uid={series.series_instance_uid}
      data-verdict={series.verdict}
    >
      <Picture
        uid={series.series_instance_uid}
        title={title}
        isUsable={isUsable}
        picture={picture}
        trans={trans}
      />
      <div className="dlp-Series-text">
        <h3 className="dlp-Series-title" title={series.series_instance_uid}>
          <span className="dlp-Series-modality">{series.modality}</span>
          <bdi>{title}</bdi>
        </h3>
        <p className="dlp-Series-size">{sizeText(series)}</p>
        {isUsable ? (
          <Warnings
            warnings={series.warnings}
            className="dlp-Series-warnings"
            isOpen={series.warnings.length === 1}
            trans={trans}
          />
        ) : (
          <p className="dlp-Series-reason">{series.reason}</p>
        )}
        {isUsable && (
          <div className="dlp-Series-actions">
            <button
              className="jp-mod-styled jp-mod-accept"
              aria-label={trans.__('Show slices: %1', title)}
              onClick={() => show(series)}
            >
              {trans.__('Show slices')}
            </button>
            <button
              className="jp-mod-styled"
              aria-haspopup="menu"
              aria-label={trans.__('Run a task: %1', title)}
              onClick={choose}
            >
              {trans.__('Run a task…')}
            </button>
          </div>
        )}
      </div>
    </li>
  );
}

/** The middle slice. Asked for when it comes into sight, for a folder may hold hundreds of series. */
function Picture(props: {
  uid: string;
  title: string;
  isUsable: boolean;
  picture: (uid: string) => Promise<string>;
  trans: TranslationBundle;
}): JSX.Element {
  const { uid, title, isUsable, picture, trans } = props;
  const place = useRef<HTMLDivElement>(null);
  const [url, setUrl] = useState<string | null>(null);
  const [reason, setReason] = useState<string | null>(null);
  useEffect(() => {
    if (!isUsable || place.current === null) {
      return;
    }
    let isShown = true;
    const observer = new IntersectionObserver(entries => {
      if (entries.some(entry => entry.isIntersecting)) {
        observer.disconnect();
        picture(uid).then(
          found => isShown && setUrl(found),
          (error: Error) => isShown && setReason(error.message)
        );
      }
    });
    observer.observe(place.current);
    return () => {
      isShown = false;
      observer.disconnect();
    };
  }, [uid, isUsable, picture]);
  return (
    <div className="dlp-Series-picture" ref={place} title={reason ?? undefined}>
      {url !== null && (
        <img src={url} alt={trans.__('Middle slice of %1', title)} />
      )}
      {(reason !== null || !isUsable) && <span>{trans.__('No picture')}</span>}
    </div>
  );
}
