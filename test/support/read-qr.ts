import type { BrowserContext } from 'playwright-core';
import decodeQr from 'qr/decode.js';

/** What a camera would read from a picture of a QR code. */
export async function readQr(context: BrowserContext, png: Buffer): Promise<string> {
  const blank = await context.newPage();
  const { width, height, dots } = await blank.evaluate(
    async (url) => {
      const image = new Image();
      image.src = url;
      await image.decode();
      const canvas = new OffscreenCanvas(image.width, image.height);
      const drawing = canvas.getContext('2d');
      drawing?.drawImage(image, 0, 0);
      const { data = [] } = drawing?.getImageData(0, 0, image.width, image.height) ?? {};
      let dots = '';
      for (let n = 0; n < data.length; n += 4) dots += (data[n] ?? 0) < 128 ? '1' : '0';
      return { width: image.width, height: image.height, dots };
    },
    `data:image/png;base64,${png.toString('base64')}`,
  );
  await blank.close();
  const data = Uint8Array.from([...dots].flatMap((dot) => [...Array(3).fill(dot === '1' ? 0 : 255), 255]));
  return decodeQr({ width, height, data });
}
