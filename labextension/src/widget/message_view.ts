/** What of anywidget's model is used by views that live on messages. */
export interface MessageModel<Told> {
  send(content: unknown): void;
  on(event: 'msg:custom', callback: ToldCallback<Told>): void;
  off(event: 'msg:custom', callback: ToldCallback<Told>): void;
}

export type ToldCallback<Told> = (
  content: Told,
  buffers: readonly DataView[]
) => void;

/** A view of a widget whose content travels as messages, and which gives back what it holds. */
export interface MessageView<Told> {
  readonly node: HTMLElement;
  hear: ToldCallback<Told>;
  dispose(): void;
}

/** What anywidget calls: shows a view, tells the kernel that it is there, and returns how it is taken away. */
export function renderer<Told>(
  make: (send: (content: unknown) => void) => MessageView<Told>
): (context: { model: MessageModel<Told>; el: HTMLElement }) => () => void {
  return ({ model, el }) => {
    const view = make(content => model.send(content));
    const hear: ToldCallback<Told> = (content, buffers) =>
      view.hear(content, buffers);
    model.on('msg:custom', hear);
    el.append(view.node);
    model.send({ type: 'ready' });
    return () => {
      model.off('msg:custom', hear);
      view.dispose();
    };
  };
}

/** A picture that came with a message, as an address for an image; which `revokePictures` gives back. */
export function pictureUrl(buffer: DataView): string {
  const { buffer: bytes, byteOffset, byteLength } = buffer;
  const copy = bytes.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
  return URL.createObjectURL(new Blob([copy], { type: 'image/png' }));
}

/** Give back the addresses of the pictures below an element. */
export function revokePictures(parent: HTMLElement): void {
  for (const image of parent.querySelectorAll('img')) {
    URL.revokeObjectURL(image.src);
  }
}
