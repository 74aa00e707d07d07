import { Contents } from '@jupyterlab/services';
import { Api } from '../api';
import { SeriesSummary } from '../generated/types';
import { SeriesChoices } from '../series_choices';

const series = (uid: string) =>
  ({
    series_instance_uid: uid,
    modality: 'MR',
    description: 'flair',
    shape: [3, 4, 5],
    spacing_kji_mm: [1, 1, 1],
    file_bytes: 100
  }) as SeriesSummary;

function choicesOf(
  found: SeriesSummary[] | Error,
  beside: string[] | Error
): SeriesChoices {
  const api = {
    series: () =>
      found instanceof Error
        ? Promise.reject(found)
        : Promise.resolve({ series: found })
  };
  const contents = {
    get: jest.fn((parent: string) =>
      beside instanceof Error
        ? Promise.reject(beside)
        : Promise.resolve({
            content: beside.map(name => ({
              name,
              path: parent === '' ? name : `${parent}/${name}`,
              type: name.includes('.') ? 'file' : 'directory'
            }))
          })
    )
  };
  return new SeriesChoices(
    api as unknown as Api,
    contents as unknown as Contents.IManager
  );
}

describe('SeriesChoices', () => {
  it('are the series of a folder that has several, and the folders beside it', async () => {
    const choices = choicesOf(
      [series('1.2'), series('1.3')],
      ['t1', 'flair', 'note.txt']
    );
    expect(await choices.beside('study/t1', 'data')).toEqual([
      {
        value: '1.2',
        label: 'MR · flair · 3 slices · 5 × 4 · 1 × 1 × 1 mm · 100 B'
      },
      {
        value: '1.3',
        label: 'MR · flair · 3 slices · 5 × 4 · 1 × 1 × 1 mm · 100 B'
      },
      { value: 'study/flair', label: 'flair' }
    ]);
  });

  it('leave out the series of the job itself, and what cannot be looked at', async () => {
    expect(
      await choicesOf([series('1.2')], new Error()).beside('t1', '')
    ).toEqual([]);
    expect(
      await choicesOf(new Error(), ['t1', 'flair']).beside('t1', '')
    ).toEqual([{ value: 'flair', label: 'flair' }]);
    expect(await choicesOf([], ['t1']).beside('.', '')).toEqual([]);
    expect(await choicesOf([], ['a', 'b']).beside('a', null)).toEqual([]);
  });
});
