import type { Language } from './languages.ts';

/** On every page of a sandbox. */
export const sandboxMessages: Record<Language, string> = {
  en: 'Sandbox: this is a test. Send no real money.',
  'zh-CN': '沙盒:这只是测试,请勿发送真实资金。',
  es: 'Entorno de pruebas: esto es una prueba. No envíe dinero real.',
  'pt-BR': 'Ambiente de testes: isto é um teste. Não envie dinheiro de verdade.',
  fr: 'Bac à sable : ceci est un test. N’envoyez pas d’argent réel.',
  ht: 'Anviwònman tès: sa a se yon tès. Pa voye vrè lajan.',
  ru: 'Песочница: это проверка. Не отправляйте настоящие деньги.',
  tr: 'Deneme ortamı: bu bir testtir. Gerçek para göndermeyin.',
  vi: 'Môi trường thử nghiệm: đây chỉ là thử. Đừng gửi tiền thật.',
  id: 'Lingkungan uji coba: ini hanya tes. Jangan kirim uang sungguhan.',
  ar: 'بيئة تجريبية: هذا اختبار. لا ترسل أموالاً حقيقية.',
};
