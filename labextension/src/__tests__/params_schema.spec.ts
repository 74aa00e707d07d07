import {
  BadEntry,
  changedParams,
  Field,
  fieldsOf,
  textOf,
  valueOf
} from '../params_schema';
import { BLUR } from './fixtures';

const [sigma, truncate, mode] = fieldsOf(BLUR.params_schema);

describe('fieldsOf', () => {
  it('makes a field of every parameter, with unit and default', () => {
    expect(sigma).toEqual({
      name: 'sigma_mm',
      label: 'Sigma (mm)',
      description: 'Standard deviation in mm.',
      kind: 'numbers',
      choices: [],
      defaultText: '1',
      mayBeEmpty: true
    });
    expect([truncate.kind, truncate.defaultText]).toEqual(['number', '4']);
    expect([mode.kind, mode.choices, mode.defaultText]).toEqual([
      'choice',
      ['mirror', 'nearest'],
      'nearest'
    ]);
  });

  it('knows booleans and strings, and leaves the rest to JSON', () => {
    const fields = fieldsOf({
      properties: {
        invert: { type: 'boolean', default: true },
        note: { type: 'string' },
        labels: { type: 'object', default: { a: 1 } }
      }
    });
    expect(fields.map(({ kind, defaultText }) => [kind, defaultText])).toEqual([
      ['boolean', 'true'],
      ['string', ''],
      ['json', '{"a":1}']
    ]);
  });

  it('lets stay empty what has a default, but for texts, whose emptiness is a value', () => {
    const nothing = { type: 'null' };
    const number = { type: 'number' };
    const fields = fieldsOf({
      properties: {
        limit: { anyOf: [number, nothing], default: null },
        widths: { anyOf: [number, { type: 'array' }, nothing], default: null },
        note: { anyOf: [{ type: 'string' }, nothing], default: null },
        side: { enum: ['left', 'right', null], default: null },
        flag: { anyOf: [{ type: 'boolean' }, nothing], default: null },
        label: { type: 'string', default: 'x' },
        needed: number
      }
    });
    expect(
      fields.map(({ name, kind, mayBeEmpty }) => [name, kind, mayBeEmpty])
    ).toEqual([
      ['limit', 'number', true],
      ['widths', 'numbers', true],
      ['note', 'string', true],
      ['side', 'choice', true],
      ['flag', 'json', true],
      ['label', 'string', false],
      ['needed', 'number', false]
    ]);
    expect(fields[3].choices).toEqual(['', 'left', 'right']);
    expect(fields[0].defaultText).toBe('');
  });

  it('of a task without parameters is empty', () => {
    expect(fieldsOf({ type: 'object' })).toEqual([]);
  });
});

describe('named texts', () => {
  const string = { type: 'string', title: 'Series', format: 'dicom-series' };
  const [channels] = fieldsOf({
    properties: {
      channels: {
        title: 'Channels',
        type: 'object',
        propertyNames: { title: 'Channel' },
        additionalProperties: string,
        default: {}
      }
    }
  });

  it('are what an object of texts is asked for by, its columns named by the schema', () => {
    expect(channels.kind).toBe('named');
    expect(channels.columns).toEqual({
      name: 'Channel',
      text: 'Series',
      isSeries: true
    });
    const [numbers] = fieldsOf({
      properties: {
        weights: { type: 'object', additionalProperties: { type: 'number' } }
      }
    });
    expect(numbers.kind).toBe('json');
  });

  it('become an object, without the rows in which nothing stands', () => {
    const rows = [
      ['FLAIR', ' study/flair '],
      [' ', ''],
      ['T1c', '1.2.3']
    ];
    expect(valueOf(channels, JSON.stringify(rows))).toEqual({
      FLAIR: 'study/flair',
      T1c: '1.2.3'
    });
    expect(valueOf(channels, textOf('named', { a: 'b' }))).toEqual({ a: 'b' });
    expect(valueOf(channels, channels.defaultText)).toEqual({});
  });

  it.each([
    [[['FLAIR', '']], '“FLAIR” has no series'],
    [[['', 'study']], '“study” has no channel'],
    [
      [
        ['a', 'b'],
        ['a', 'c']
      ],
      '“a” stands in two rows'
    ]
  ])('are refused where one is not whole (%#)', (rows, sentence) => {
    expect(() => valueOf(channels, JSON.stringify(rows))).toThrow(sentence);
  });
});

describe('changedParams', () => {
  it('names what is not the default by its title', () => {
    const params = { sigma_mm: [2, 1, 1], truncate: 4, mode: 'mirror' };
    expect(changedParams(params, BLUR.params_schema)).toEqual([
      'Sigma (mm) [2,1,1]',
      'Edge mirror'
    ]);
  });

  it('names all by their names for a task that is gone', () => {
    expect(changedParams({ sigma_mm: 1 }, undefined)).toEqual(['sigma_mm 1']);
  });
});

describe('valueOf', () => {
  const json: Field = { ...mode, kind: 'json', label: 'Labels' };

  it.each<[Field, string, unknown]>([
    [sigma, '1.5', 1.5],
    [sigma, ' 2, 1,0 ', [2, 1, 0]],
    [truncate, '3', 3],
    [mode, 'mirror', 'mirror'],
    [json, '{"a": [1]}', { a: [1] }],
    [{ ...mode, kind: 'boolean' }, 'false', false],
    [{ ...mode, kind: 'string' }, '', '']
  ])('reads what was entered (%#)', (field, text, value) => {
    expect(valueOf(field, text)).toEqual(value);
  });

  it.each<[Field, string, string]>([
    [sigma, 'wide', 'Sigma (mm): “wide” is not a number; give one number'],
    [sigma, '1,,2', 'Sigma (mm): “” is not a number'],
    [truncate, '', 'Truncate: “” is not a number; give a number'],
    [truncate, '1, 2', 'Truncate: “1, 2” is not a number'],
    [json, '{', 'Labels: “{” is not JSON.']
  ])('refuses what cannot be read (%#)', (field, text, sentence) => {
    expect(() => valueOf(field, text)).toThrow(BadEntry);
    expect(() => valueOf(field, text)).toThrow(sentence);
  });

  it('reads back what textOf wrote', () => {
    expect(valueOf(sigma, textOf('numbers', [1, 2.5, 3]))).toEqual([1, 2.5, 3]);
    expect(valueOf(json, textOf('json', { a: 1 }))).toEqual({ a: 1 });
  });
});
