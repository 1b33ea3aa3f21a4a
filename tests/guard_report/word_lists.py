"""Everyday words of nineteen languages, for addresses as people and content systems write them."""

from __future__ import annotations

_TEXT = """
en: weather gallery holiday garden morning the best of local news update photo album kitchen mountain river
    summer how to build your first bicycle review market street children school library history music winter
    collection
de: wetter galerie ferien garten morgen nachrichten bilder album küche gebirge fluss sommer wie man ein
    fahrrad baut straße schule bücherei geschichte musik winter sammlung öffnungszeiten veranstaltungen
    ausstellung größe
fr: météo galerie vacances jardin matin actualités photos album cuisine montagne rivière été comment réparer
    votre vélo marché rue école bibliothèque histoire musique hiver collection ça où près château forêt
    naïve
es: tiempo galería vacaciones jardín mañana noticias fotos álbum cocina montaña río verano cómo arreglar tu
    bicicleta mercado calle escuela biblioteca historia música invierno colección niños señal
pl: pogoda galeria wakacje ogród poranek wiadomości zdjęcia album kuchnia góra rzeka lato jak naprawić swój
    rower rynek ulica szkoła biblioteka historia muzyka zima kolekcja źródło łódź chrząszcz szczęście
tr: hava galeri tatil bahçe sabah haberler fotoğraf albüm mutfak dağ nehir yaz bisiklet nasıl yapılır pazar
    sokak okul kütüphane tarih müzik kış koleksiyon çocuk güneş ığdır
pt: tempo galeria férias jardim manhã notícias fotos álbum cozinha montanha rio verão como consertar sua
    bicicleta mercado rua escola biblioteca história música inverno coleção não são ações
vi: thời tiết thư viện kỳ nghỉ vườn buổi sáng tin tức hình ảnh bếp núi sông mùa hè cách sửa xe đạp chợ đường
    trường học lịch sử âm nhạc mùa đông bộ sưu tập
id: cuaca galeri liburan taman pagi berita foto album dapur gunung sungai musim panas bagaimana memperbaiki
    sepeda pasar jalan sekolah perpustakaan sejarah musik dingin koleksi
ru: погода галерея отпуск сад утро новости фотографии альбом кухня гора река лето как починить велосипед
    рынок улица школа библиотека история музыка зима коллекция объявления
uk: погода галерея відпустка сад ранок новини світлини альбом кухня гора річка літо як полагодити велосипед
    ринок вулиця школа бібліотека історія музика зима колекція їжа
el: καιρός γκαλερί διακοπές κήπος πρωί νέα φωτογραφίες άλμπουμ κουζίνα βουνό ποτάμι καλοκαίρι πώς φτιάχνω
    ποδήλατο αγορά δρόμος σχολείο βιβλιοθήκη ιστορία μουσική χειμώνας συλλογή
ar: الطقس معرض عطلة حديقة صباح أخبار صور ألبوم مطبخ جبل نهر صيف كيف تصلح دراجتك سوق شارع مدرسة مكتبة تاريخ
    موسيقى شتاء مجموعة
he: מזג גלריה חופשה גינה בוקר חדשות תמונות אלבום מטבח הר נהר קיץ איך לתקן אופניים שוק רחוב ספרייה היסטוריה
    מוזיקה חורף אוסף
hi: मौसम गैलरी छुट्टी बगीचा सुबह समाचार तस्वीरें एल्बम रसोई पहाड़ नदी गर्मी साइकिल कैसे ठीक करें बाज़ार सड़क
    विद्यालय पुस्तकालय इतिहास संगीत सर्दी संग्रह
th: สภาพอากาศ แกลเลอรี วันหยุด สวน ตอนเช้า ข่าว ภาพถ่าย อัลบั้ม ห้องครัว ภูเขา แม่น้ำ ฤดูร้อน
    วิธีซ่อมจักรยาน ตลาด ถนน โรงเรียน ห้องสมุด ประวัติศาสตร์ ดนตรี ฤดูหนาว
ja: 天気 ギャラリー 休日 庭園 朝の散歩 ニュース 写真集 アルバム 台所 山登り 川下り 夏休み 自転車の直し方
    市場 通り 学校 図書館
    歴史 音楽 冬の景色 コレクション 東京都渋谷区 お知らせ 第三章
zh: 天气 画廊 假期 花园 早晨 新闻 照片 相册 厨房 山脉 河流 夏天 如何修理自行车 市场
    街道 学校 图书馆 历史 音乐 冬季 收藏 北京市海淀区 臺灣旅遊 最新消息 用户指南
ko: 날씨 갤러리 휴가 정원 아침 뉴스 사진첩 앨범 부엌 등산 강변 여름 자전거수리방법
    시장 거리 학교 도서관 역사 음악 겨울 모음집 서울특별시 공지사항
"""


def _by_language(text: str) -> dict[str, list[str]]:
    words: dict[str, list[str]] = {}
    language = ""
    for word in text.split():
        if word.endswith(":"):
            language = word[:-1]
            words[language] = []
        else:
            words[language].append(word)
    return words


WORDS = _by_language(_TEXT)

#: National encodings that old web sites still percent-encode, by language.
LEGACY_CODECS = {"ja": "shift_jis", "zh": "gbk", "ko": "euc_kr", "ru": "cp1251", "uk": "cp1251", "el": "cp1253"}
