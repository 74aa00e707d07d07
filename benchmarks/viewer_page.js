// What a browser does in benchmarks/viewer.py; all times in ms.
window.bench = {
    // a key that is held down repeats every 33 ms
    sleep: ms => new Promise(done => setTimeout(done, ms)),
    async until(test, patience = 20000) {
        for (const end = performance.now() + patience; !test();) {
            if (performance.now() > end) {
                throw new Error(`nothing was painted: ${document.querySelector('.dlp-Viewer')?.dataset.error}`);
            }
            // sooner than a timer, which waits 4 ms; without a pause it would take the time of what it waits for
            await scheduler.postTask(() => undefined, { delay: 1 });
        }
    },
    canvas: title => document.querySelector(
        `.dlp-Viewer[data-ready] canvas[data-plane=${title}]`),
    key: (target, key) => target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })),
    readBack: canvas => canvas.getContext('2d').getImageData(0, 0, 1, 1),
    async scroll(steps, pause) {
        const canvas = bench.canvas('axial'), times = [];
        bench.key(canvas, 'Home');
        await bench.until(() => canvas.dataset.index === '0');
        await bench.sleep(1000);
        for (let n = 1; n < Math.min(steps, Number(canvas.ariaValueMax)); n++) {
            const start = performance.now();
            bench.key(canvas, 'ArrowDown');
            await bench.until(() => canvas.dataset.index === String(n));
            bench.readBack(canvas);
            times.push(performance.now() - start);
            await bench.sleep(Math.max(0, pause - (performance.now() - start)));
        }
        return times;
    },
    async jump(steps) {
        const planes = ['axial', 'coronal', 'sagittal'].map(bench.canvas), times = [];
        for (let n = 0; n < steps; n++) {
            const wanted = planes.map((canvas, p) => {
                const count = Number(canvas.ariaValueMax);
                return ((n * [7919, 6271, 5333][p]) % Math.floor(count / 10)) * 10 + (n % 10);
            });
            const start = performance.now();
            planes.forEach((canvas, p) => {
                bench.key(canvas, 'Home');
                for (let left = wanted[p]; left > 0; left -= left >= 10 ? 10 : 1) {
                    bench.key(canvas, left >= 10 ? 'PageDown' : 'ArrowDown');
                }
            });
            await bench.until(() => planes.every((canvas, p) => canvas.dataset.index === String(wanted[p])));
            planes.forEach(bench.readBack);
            times.push(performance.now() - start);
            await bench.sleep(200);
        }
        return times;
    },
    // how long a frame takes in which the window changes, all three planes being painted anew
    async window(steps) {
        const canvas = bench.canvas('axial'), times = [];
        const planes = ['axial', 'coronal', 'sagittal'].map(bench.canvas);
        const original = window.requestAnimationFrame;
        window.requestAnimationFrame = callback => original(time => {
            const start = performance.now();
            callback(time);
            planes.forEach(bench.readBack);
            times.push(performance.now() - start);
        });
        const box = canvas.getBoundingClientRect();
        const send = (type, n) => canvas.dispatchEvent(new PointerEvent(type, {
            pointerId: 1, button: 2, buttons: 2, bubbles: true,
            clientX: box.left + 100 + n % 50, clientY: box.top + 100 + n % 30
        }));
        canvas.setPointerCapture = () => undefined;
        send('pointerdown', 0);
        for (let n = 1; n <= steps; n++) {
            const painted = times.length;
            send('pointermove', n);
            await bench.until(() => times.length > painted);
        }
        send('pointerup', 0);
        window.requestAnimationFrame = original;
        return times;
    },
    // a slider of ipywidgets and the picture that follows it: an image that came as a file, or one drawn on a canvas
    async slider(steps, pause, isOnCanvas) {
        const handle = document.querySelector('.jp-OutputArea .noUi-handle'), times = [];
        const picture = () => [...document.querySelectorAll('.jp-OutputArea img')].at(-1);
        for (let n = 0; n < steps; n++) {
            const before = picture()?.src, drawn = bench.imagesDrawn;
            const start = performance.now();
            bench.key(handle, 'ArrowRight');
            if (isOnCanvas) {
                await bench.until(() => bench.imagesDrawn > drawn);
                bench.readBack(bench.lastCanvas);
            } else {
                await bench.until(() => picture() && picture().src !== before && picture().complete);
                await picture().decode().catch(() => undefined);
            }
            times.push(performance.now() - start);
            await bench.sleep(pause);  // what still comes of this step must not be taken for the next
        }
        return times;
    },
    // the wheel over a canvas that WebGL draws
    async wheel(steps, pause) {
        const canvas = document.querySelector('.jp-OutputArea canvas'), times = [];
        const box = canvas.getBoundingClientRect();
        for (let n = 0; n < steps; n++) {
            const drawn = bench.shapesDrawn;
            const start = performance.now();
            canvas.dispatchEvent(new WheelEvent('wheel', {
                deltaY: 1, bubbles: true, cancelable: true,
                clientX: box.left + box.width / 4, clientY: box.top + box.height / 4
            }));
            await bench.until(() => bench.shapesDrawn > drawn);
            const gl = canvas.getContext('webgl2');
            gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
            times.push(performance.now() - start);
            await bench.sleep(pause);
        }
        return times;
    },
    // from running the selected cell to the moment at which `test` says that something is seen
    async firstPaint(test) {
        const isSeen = new Function(`return ${test}`);
        const start = performance.now();
        void window.jupyterapp.commands.execute('notebook:run-cell');
        await bench.until(isSeen, 600000);
        return performance.now() - start;
    },
    imagesDrawn: 0,
    shapesDrawn: 0,
    lastCanvas: null
};
{
    const { drawImage } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.drawImage = function (image, ...place) {
        drawImage.call(this, image, ...place);
        if (image instanceof HTMLImageElement) {
            bench.imagesDrawn++;
            bench.lastCanvas = this.canvas;
        }
    };
    for (const name of ['drawArrays', 'drawElements']) {
        const draw = WebGL2RenderingContext.prototype[name];
        WebGL2RenderingContext.prototype[name] = function (...shapes) {
            draw.apply(this, shapes);
            bench.shapesDrawn++;
        };
    }
}
void 0; // and no function, which would be called
