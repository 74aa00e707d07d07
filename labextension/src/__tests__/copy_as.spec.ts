import { copyOf } from '../copy_as';
import { makeJob } from './fixtures';

const BASE = 'https://hub.example/user/x/';

describe('copyOf', () => {
  const odd = makeJob({
    input_dir: "it's/a b",
    params: { sigma_mm: [3, 2, 2], mode: 'nearest', label: '12', on: true },
    read: { ...makeJob().read, series: '1.2.3', select: { EchoTime: '12' } },
    keep_hdf5: true,
    priority: 5,
    output_form: 'multiframe'
  });

  it('leaves out what is the default anyway', () => {
    expect(copyOf(makeJob(), 'cli', BASE)).toBe(
      'dlp-lab run 3dblur "$DLP_LAB_ROOT"/study/series --sigma-mm=2 --mode=nearest\n'
    );
    expect(copyOf(makeJob(), 'python', BASE)).toContain(
      'job = dlp.submit("3dblur", Path(os.environ["DLP_LAB_ROOT"], "study/series"), sigma_mm=2, mode="nearest").wait()'
    );
  });

  it('quotes for the shell, and text that would be read as a number', () => {
    expect(copyOf(odd, 'cli', BASE)).toBe(
      `dlp-lab run 3dblur "$DLP_LAB_ROOT"/'it'\\''s/a b' --sigma-mm='[3,2,2]' --mode=nearest --label='"12"' --on=true` +
        ' --series=1.2.3 --select=EchoTime=12 --priority=5 --output-form=multiframe --keep-hdf5\n'
    );
  });

  it('writes Python’s own words', () => {
    expect(copyOf(odd, 'python', BASE)).toContain(
      'sigma_mm=[3, 2, 2], mode="nearest", label="12", on=True, ' +
        'read={"series": "1.2.3", "select": {"EchoTime": "12"}}, keep_hdf5=True, priority=5, output_form="multiframe"'
    );
    expect(copyOf(makeJob({ params: { x: null } }), 'python', BASE)).toContain(
      'x=None'
    );
  });

  it('sends JSON to the route of this server, without the token itself', () => {
    const text = copyOf(odd, 'curl', BASE);
    expect(text).toContain('https://hub.example/user/x/dlp-lab/api/v1/jobs');
    expect(text).toContain('token $JUPYTER_TOKEN');
    const body = /-d '(.*)' \\\n/.exec(text)![1].replace(/'\\''/g, "'");
    expect(JSON.parse(body)).toEqual({
      task: '3dblur',
      input_dir: "it's/a b",
      params: odd.params,
      read: { series: '1.2.3', select: { EchoTime: '12' } },
      keep_hdf5: true,
      priority: 5,
      output_form: 'multiframe'
    });
  });
});
