/** The viewer as an anywidget: bundled to one file, which the kernel sends to the notebook. */

import { VolumeInfo } from '../generated/types';
import { SliceViewer } from '../viewer/slice_viewer';
import { untranslated } from '../viewer/translate';
import {
  MessageSource,
  PlaneMessages,
  VolumeRole,
  WidgetModel
} from './message_source';

function render({
  model,
  el
}: {
  model: WidgetModel;
  el: HTMLElement;
}): () => void {
  const volumes = model.get('volumes') as Partial<
    Record<VolumeRole, VolumeInfo>
  >;
  const messages = new PlaneMessages(model);
  const source = (role: VolumeRole) => {
    const info = volumes[role];
    return info && new MessageSource(info, messages, role);
  };
  const viewer = new SliceViewer(
    {
      before: source('before')!,
      after: source('after'),
      labels: source('labels'),
      labelNames: model.get('label_names') as Record<string, string>,
      names: model.get('names') as [string, string]
    },
    untranslated
  );
  // The still picture is for notebooks without a live viewer. JupyterLab has a style of its own for pictures.
  const style = document.createElement('style');
  style.textContent = `.${model.get('still_class') as string} { display: none !important; }`;
  document.head.append(style);
  el.style.height = `${model.get('height_px') as number}px`;
  el.append(viewer.node);
  return () => {
    viewer.dispose();
    messages.dispose();
    style.remove();
  };
}

export default { render };
