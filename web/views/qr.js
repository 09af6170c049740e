// A QR code: the server draws it, the page shows it as a picture, so that nothing of it is markup here.

import { h, t } from '../dom.js'
import { api } from '../api.js'

/** @param {string} text @returns {Promise<any>} */
export async function qr(text) {
  try {
    const response = await api('POST', 'qr', { body: { text }, raw: true })
    const src = URL.createObjectURL(await response.blob())
    return h('img.qr', { src, alt: t('qr'), width: 180, height: 180, onload: () => URL.revokeObjectURL(src) })
  } catch {
    return null
  }
}
